// Values of the location table: any bytes are a place where a record can lie, which is written
// and read again as the same, or damage.
#include "cas/location_table_keys.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace casdisk;
  const ChunkId id = hash_of({});
  auto entry = decode_location(id, std::as_bytes(std::span(data, size)));
  if (!entry.ok()) {
    CHECK(entry.error().fault == Fault::kDamaged);
    CHECK(entry.error().context.find(to_hex(id)) != std::string::npos);
    return 0;
  }
  const PackLocation& location = entry.value().location;
  CHECK(location.record_bytes >= kRecordHeaderBytes && location.record_bytes <= kMaxRecordBytes);
  CHECK(location.offset <= kMaxPackBytes);
  auto again = decode_location(id, encode_location(entry.value()));
  CHECK(again.ok() && again.value().location == location);
  CHECK(again.value().damaged == entry.value().damaged);
  return 0;
}
