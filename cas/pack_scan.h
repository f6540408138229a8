// Scanning a pack: every record in it, in order, whatever the location table says of them.
//
// Reads sequentially, in windows of a few MiB. Where there is no record, after damage to a header
// say, the next one is looked for: it is known by a header whose checksum holds.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "cas/os/file.h"
#include "cas/pack_format.h"

namespace casdisk {

struct ScannedRecord {
  PackLocation location;
  const Record& record;  // valid until visit returns; its header is whole, its payload unchecked
};

// Bytes of a pack between its records that are none of one.
struct PackGap {
  uint64_t offset = 0;
  uint64_t length = 0;
};

struct PackScan {
  Result<PackHeader> header = Error{Fault::kDamaged, 0, "not read"};  // what is wrong with it
  uint64_t record_count = 0;
  uint64_t scanned_bytes = 0;
  std::vector<PackGap> gaps;  // at most kMaxGaps of them
  uint64_t gap_bytes = 0;
  uint64_t tail_bytes = 0;  // behind the last record: what a writer that died left, or is writing
};

inline constexpr size_t kMaxGaps = 1000;

// Calls `visit` with each record until that fails; a record with a damaged payload is one like
// another (check_payload, decode_object). `pack` is a name in `packs`: kNotFound when it is gone,
// or was just cut off to be removed. Of one that becomes shorter meanwhile what is left is scanned.
// Sectors that cannot be read are gaps. Memory: 4 MiB and a bit.
Result<PackScan> scan_pack(Directory& packs, uint64_t pack,
                           const std::function<Result<void>(const ScannedRecord&)>& visit);

// The ids of all packs there are, ascending.
Result<std::vector<uint64_t>> list_packs(Directory& packs);

}  // namespace casdisk
