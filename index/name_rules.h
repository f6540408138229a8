// What names of disks and checkpoints consist of, for who checks names, or patterns of them.
#pragma once

#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

// Of ASCII.
bool is_letter_or_digit(char c);
// What a name consists of after its first character.
bool is_name_character(char c);

// What no new checkpoint's name begins with: behind a disk's name that is a token for a server
// (nbd/auth/token_text.h), so no client could name the checkpoint.
inline constexpr std::string_view kReservedPrefix = "cdt_";

// check_name(), and it is none that is reserved.
Result<void> check_new_checkpoint_name(std::string_view name);

}  // namespace casdisk
