#include "cas/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace casdisk {

// ISA-L leaves both inversions to its caller and takes an int for the length.
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before) {
  constexpr size_t kMaxStepBytes = size_t(1) << 30;
  uint32_t crc = ~before;
  while (!bytes.empty()) {
    const size_t count = std::min(bytes.size(), kMaxStepBytes);
    auto* data = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data()));
    crc = crc32_iscsi(data, int(count), crc);
    bytes = bytes.subspan(count);
  }
  return ~crc;
}

}  // namespace casdisk
