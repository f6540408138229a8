// Tokens as text: "cdt_ID_SECRET", ID 32 and SECRET 64 digits of lower-case hex.
//
// Every character may stand in a disk's name, so that a token can end an export's name. What
// begins with "cdt_" behind the last '@' is a token, whatever follows: no checkpoint is meant, and
// a mistyped token is not printed as the name of one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace casdisk {

inline constexpr size_t kTokenIdBytes = 16;
inline constexpr size_t kTokenSecretBytes = 32;
inline constexpr std::string_view kTokenPrefix = "cdt_";
inline constexpr size_t kTokenTextBytes = 4 + 2 * kTokenIdBytes + 1 + 2 * kTokenSecretBytes;

struct Token {
  std::array<uint8_t, kTokenIdBytes> id = {};
  std::array<uint8_t, kTokenSecretBytes> secret = {};
};

// Exactly that form, else nothing.
std::optional<Token> parse_token(std::string_view text);
std::string token_text(const Token& token);

// An export's name as a client gives it.
struct NameWithToken {
  std::string name;   // "disk", "disk@checkpoint" or ""
  std::string token;  // as it came; empty: none
};

// "disk@TOKEN", "disk@checkpoint@TOKEN", "@TOKEN" (the default export).
NameWithToken split_token(std::string_view export_name);

}  // namespace casdisk
