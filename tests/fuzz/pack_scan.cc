// Scanning a pack that may be anything: records, gaps and the tail are all of it, in order, once;
// and an end that the visitor asks for is the end.
#include "cas/pack_scan.h"

#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_files.h"

namespace casdisk {
namespace {

constexpr uint64_t kPack = 7;
constexpr size_t kMostBytes = size_t(16) << 20;

void check_scan(Directory& packs, uint64_t size_bytes) {
  uint64_t reached = 0, record_bytes = 0, record_count = 0;
  const AllocationBound bound(kMostBytes);
  auto scan = scan_pack(packs, kPack, [&](const ScannedRecord& scanned) -> Result<void> {
    CHECK(scanned.location.pack == kPack && scanned.location.offset >= reached);
    CHECK(scanned.location.record_bytes == scanned.record.header.record_bytes());
    CHECK(scanned.record.payload.size() == scanned.record.header.stored_bytes);
    reached = scanned.location.offset + scanned.location.record_bytes;
    CHECK(reached <= size_bytes);
    record_bytes += scanned.location.record_bytes;
    record_count++;
    (void)decode_object(scanned.record).ok();
    return {};
  });
  CHECK(scan.ok());
  const PackScan& found = scan.value();
  CHECK(found.record_count == record_count && found.scanned_bytes == size_bytes);
  const uint64_t header_bytes = std::min<uint64_t>(kPackHeaderBytes, size_bytes);
  CHECK(header_bytes + record_bytes + found.gap_bytes + found.tail_bytes == size_bytes);
  uint64_t gap_bytes = 0, gap_end = 0;
  for (const PackGap& gap : found.gaps) {
    CHECK(gap.offset >= gap_end && gap.length > 0);
    gap_end = gap.offset + gap.length;
    gap_bytes += gap.length;
  }
  CHECK(found.gaps.size() <= kMaxGaps);
  CHECK(found.gaps.size() == kMaxGaps || gap_bytes == found.gap_bytes);
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace casdisk;
  static ScratchFiles files;
  files.write(pack_file_name(kPack), std::as_bytes(std::span(data, size)));
  check_scan(files.directory(), size);
  const Error enough{Fault::kBusy, 0, "enough"};
  auto ended = scan_pack(files.directory(), kPack,
                         [&](const ScannedRecord&) -> Result<void> { return enough; });
  CHECK(ended.ok() || ended.error().fault == Fault::kBusy);
  return 0;
}
