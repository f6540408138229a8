// Bytes as lower-case hexadecimal digits, two each, the high one first.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cas/os/bytes.h"

namespace casdisk {

std::string hex_of(std::span<const std::byte> bytes);

// Nothing for an odd count of digits, or what is none.
std::optional<Bytes> bytes_of_hex(std::string_view hex);

// 0 to 15, or -1.
int hex_digit(char digit);

}  // namespace casdisk
