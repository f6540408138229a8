// The line that says what a store is: one way to say one thing, and nothing else is understood.
#include "index/store_format.h"

#include "tests/fuzz/fuzz_target.h"

using casdisk::Fault;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto line = casdisk::FuzzInput(data, size).rest_text();
  const casdisk::AllocationBound bound(4 * size + 4096);
  auto codec = casdisk::decode_store_format(line);
  if (codec.ok()) {
    CHECK(casdisk::encode_store_format(codec.value()) == line);
  } else {
    CHECK(codec.error().fault == Fault::kDamaged || codec.error().fault == Fault::kUnsupported);
    CHECK(!codec.error().context.empty());
  }
  return 0;
}
