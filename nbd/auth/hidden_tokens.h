// Words without the tokens in them. A pure function.
#pragma once

#include <string>
#include <string_view>

namespace casdisk {

// The text with what may be a token, or most of one, as "cdt_***", wherever it stands: what is
// printed may quote a name that somebody gave us with the token in the wrong place.
std::string with_tokens_hidden(std::string_view text);

}  // namespace casdisk
