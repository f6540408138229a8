#include "nbd/auth/hidden_tokens.h"

#include <algorithm>

#include "nbd/auth/token_text.h"

namespace casdisk {
namespace {

// What is shorter gives nothing away: an id alone is longer.
constexpr size_t kLeastHiddenBytes = 24;

bool is_token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

std::string with_tokens_hidden(std::string_view text) {
  std::string shown;
  for (;;) {
    const size_t at = text.find(kTokenPrefix);
    if (at == text.npos) break;
    shown += text.substr(0, at + kTokenPrefix.size());
    text.remove_prefix(at + kTokenPrefix.size());
    const auto end = std::find_if_not(text.begin(), text.end(), is_token_character);
    const auto count = size_t(end - text.begin());
    if (count < kLeastHiddenBytes) continue;
    shown += "***";
    text.remove_prefix(count);
  }
  shown += text;
  return shown;
}

}  // namespace casdisk
