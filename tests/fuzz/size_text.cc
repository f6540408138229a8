// Sizes as people write them: what is read is within its limits, and what we write we read.
#include "nbd/size_text.h"

#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

void check_size(uint64_t bytes) {
  const std::string written = size_text(bytes);
  CHECK(!written.empty() && written.size() < 24);
  if (written.find('.') != written.npos) return;  // rounded, for people
  auto again = parse_size(written, "size");
  CHECK(again.ok() && again.value() == bytes);
}

void run(FuzzInput input) {
  auto size = parse_size(input.rest_text(), "size");
  if (size.ok()) {
    CHECK(size.value() <= kMaxSizeBytes);
    check_size(size.value());
  } else {
    CHECK(size.error().fault == Fault::kInvalid);
    CHECK(size.error().context.starts_with("size"));
  }
  check_size(input.number<uint64_t>() % (kMaxSizeBytes + 1));
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size));
  return 0;
}
