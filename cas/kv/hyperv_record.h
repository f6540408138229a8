// One record of a Hyper-V KVP pool file (docs/FORMAT.md): struct kvp_record of hv_kvp_daemon.
//
// Key and value are text in fields of fixed width. The first NUL ends it; what is behind is left
// over from something longer, and means nothing. Text as long as its field has no NUL. A record
// without a key is none: what a write that was cut off left.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace casdisk {

inline constexpr size_t kHypervKeyBytes = 512;
inline constexpr size_t kHypervValueBytes = 2048;
inline constexpr size_t kHypervRecordBytes = kHypervKeyBytes + kHypervValueBytes;

// Records begin at multiples of it, so that a key is one sector and a value four.
inline constexpr size_t kHypervSectorBytes = 512;
static_assert(kHypervKeyBytes == kHypervSectorBytes);
static_assert(kHypervRecordBytes % kHypervSectorBytes == 0);

struct HypervRecord {
  std::string_view key;
  std::string_view value;
};

// Views into `bytes`, which has kHypervRecordBytes of anything.
HypervRecord decode_hyperv_record(std::span<const std::byte> bytes);

// Fills `to`, which has kHypervRecordBytes, with zeros where the record ends. REQUIRES: key and
// value fit into their fields and have no NUL.
void encode_hyperv_record(const HypervRecord& record, std::span<std::byte> to);

}  // namespace casdisk
