// CRC-32C (Castagnoli), as in iSCSI, ext4 and RFC 3720: crc32c("123456789") is 0xe3069283.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace casdisk {

// Of the bytes that `before` is the checksum of, and these after them; 0 is that of none.
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before = 0);

}  // namespace casdisk
