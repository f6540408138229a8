// Checkpoint records: any bytes are a record in its one encoding, or damage.
#include "index/records.h"
#include "tests/fuzz/fuzz_target.h"

using casdisk::CheckpointRecord;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A string of a few bytes takes some dozens in memory, the encoding of the same as many again.
  casdisk::check_canonical(
      std::as_bytes(std::span(data, size)), 32 * size + (size_t(64) << 10),
      [](auto bytes) { return casdisk::decode_checkpoint(bytes); },
      [](const CheckpointRecord& record) { return encode(record); });
  return 0;
}
