// Notes of disks' heads: any bytes are a note in its one encoding, damage, or of another version.
// Tried as they are, and with the checksum that fits.
#include "index/head_note.h"

#include "cas/crc32c.h"
#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

constexpr size_t kChecksumBytes = 4;

void check_note(std::span<const std::byte> bytes) {
  // A string of a few bytes takes some dozens in memory, the encoding of the same as many again.
  const AllocationBound bound(64 * bytes.size() + (size_t(64) << 10));
  auto note = decode_head_note(bytes);
  if (note.ok()) {
    CHECK(same_bytes(encode(note.value()), bytes));
    return;
  }
  const Fault fault = note.error().fault;
  CHECK(fault == Fault::kDamaged || fault == Fault::kUnsupported);
  CHECK(!note.error().context.empty());
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  casdisk::check_note(bytes);
  casdisk::Bytes mended(bytes.begin(), bytes.end());
  if (mended.size() < casdisk::kChecksumBytes) return 0;
  const auto covered = std::span(mended).first(mended.size() - casdisk::kChecksumBytes);
  casdisk::store_le(&mended[covered.size()], casdisk::crc32c(covered));
  casdisk::check_note(mended);
  return 0;
}
