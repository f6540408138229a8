// UTF-8, as far as one must tell it from other bytes. Pure functions.
#pragma once

#include <string_view>

namespace casdisk {

// Whether it is well-formed: no overlong form, no surrogate, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace casdisk
