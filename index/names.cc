#include "index/names.h"

#include <fmt/format.h>

#include <algorithm>

#include "index/name_rules.h"

namespace casdisk {

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name_character(char c) {
  return is_letter_or_digit(c) || std::string_view("._-:+").find(c) != std::string_view::npos;
}

Result<void> check_name(std::string_view name, std::string_view what) {
  auto invalid = [&](std::string_view why) {
    return Error{Fault::kInvalid, 0, fmt::format("{} name {:?}: {}", what, name, why)};
  };
  if (name.empty()) return invalid("must not be empty");
  if (name.size() > kMaxNameBytes) {
    return invalid(fmt::format("{} bytes, at most {} are allowed", name.size(), kMaxNameBytes));
  }
  if (!is_letter_or_digit(name[0])) return invalid("must begin with a letter or a digit");
  if (!std::all_of(name.begin(), name.end(), is_name_character)) {
    return invalid("only letters, digits and . _ - : + are allowed");
  }
  return {};
}

Result<void> check_new_checkpoint_name(std::string_view name) {
  TRY(check_name(name, "checkpoint"));
  if (!name.starts_with(kReservedPrefix)) return {};
  // Not quoted: it may be a token.
  return Error{Fault::kInvalid, 0,
               fmt::format("a checkpoint's name must not begin with {}: clients' tokens do",
                           kReservedPrefix)};
}

Result<VolumeName> parse_volume_name(std::string_view text) {
  VolumeName name;
  size_t at = text.find('@');
  name.disk = text.substr(0, at);
  TRY(check_name(name.disk, "disk"));
  if (at != std::string_view::npos) {
    name.checkpoint = text.substr(at + 1);
    TRY(check_name(name.checkpoint, "checkpoint"));
  }
  return name;
}

}  // namespace casdisk
