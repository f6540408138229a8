// What an image is by its first bytes: any bytes have one answer, whatever follows the head.
#include "nbd/image/image_format.h"

#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

void run(FuzzInput input) {
  const AllocationBound bound(4 * input.rest().size() + 4096);
  auto head = input.rest();
  auto format = image_format(head);
  if (format) {
    CHECK(!format->name.empty());
    CHECK(format->is_compressed || is_known_format(format->name));
    // A file that goes on is of the same format.
    Bytes longer(head.begin(), head.end());
    longer.resize(head.size() + 1);
    CHECK(image_format(longer) && image_format(longer)->name == format->name);
  }
  auto file_bytes = vdi_file_bytes(head);
  CHECK(!file_bytes || (format && format->name == "vdi"));
  if (is_nbd_uri(input.rest_text())) CHECK(input.rest_text().starts_with("nbd"));
  if (is_known_format(input.rest_text()))
    CHECK(known_formats().find(input.rest_text()) != std::string::npos);
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size));
  return 0;
}
