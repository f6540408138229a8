// The cursor of a list: the key to go on behind, bound to the prefix that was listed.
//
// Text (hexadecimal), so that it passes through shells and JSON; opaque to callers, and checked
// when it comes back: it cannot be cut, changed or used with another prefix. It does not expire,
// and holds nothing in the store: what is written between two pages is seen or not by where its key
// is.
#pragma once

#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

// REQUIRES: `after` begins with `prefix`.
std::string encode_kv_cursor(std::string_view prefix, std::string_view after);

// The key to go on behind. kInvalid: malformed (an empty one is), or of another prefix.
Result<std::string> decode_kv_cursor(std::string_view prefix, std::string_view cursor);

}  // namespace casdisk
