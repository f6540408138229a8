// Base64 (RFC 4648, with padding): bytes in JSON. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace casdisk {

std::string encode_base64(std::string_view bytes);
// Puts it at the end of `text`.
void append_base64(std::string& text, std::string_view bytes);

// None for what encode_base64() does not make.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace casdisk
