#include "nbd/auth/token_text.h"

#include <span>

#include "cas/os/hex.h"
#include "index/name_rules.h"

namespace casdisk {
namespace {

static_assert(kTokenPrefix == kReservedPrefix);

// Only what hex_of() writes, lower case: a token has one text. REQUIRES: enough of `hex`.
template <size_t kBytes>
bool take_hex(std::string_view hex, std::array<uint8_t, kBytes>& into) {
  for (size_t i = 0; i < kBytes; i++) {
    const int high = hex_digit(hex[2 * i]);
    const int low = hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    into[i] = uint8_t(high << 4 | low);
  }
  return true;
}

}  // namespace

std::optional<Token> parse_token(std::string_view text) {
  constexpr size_t kIdAt = kTokenPrefix.size();
  constexpr size_t kSecretAt = kIdAt + 2 * kTokenIdBytes + 1;
  if (text.size() != kTokenTextBytes || !text.starts_with(kTokenPrefix) ||
      text[kSecretAt - 1] != '_') {
    return std::nullopt;
  }
  Token token;
  if (!take_hex(text.substr(kIdAt), token.id) || !take_hex(text.substr(kSecretAt), token.secret)) {
    return std::nullopt;
  }
  return token;
}

std::string token_text(const Token& token) {
  return std::string(kTokenPrefix) + hex_of(std::as_bytes(std::span(token.id))) + "_" +
         hex_of(std::as_bytes(std::span(token.secret)));
}

NameWithToken split_token(std::string_view export_name) {
  const size_t at = export_name.rfind('@');
  if (at == export_name.npos || !export_name.substr(at + 1).starts_with(kTokenPrefix)) {
    return {std::string(export_name), ""};
  }
  return {std::string(export_name.substr(0, at)), std::string(export_name.substr(at + 1))};
}

}  // namespace casdisk
