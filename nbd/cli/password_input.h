// Passwords as the command takes them: from a terminal that does not show them, a file or stdin;
// never from its arguments, which other users can see.
#pragma once

#include <optional>
#include <string>

#include "cas/os/result.h"
#include "nbd/cli/arguments.h"

namespace casdisk {

// --password and --password-file.
extern const OptionSyntax kPasswordOption;
extern const OptionSyntax kPasswordFileOption;

// As the options say; nothing where none of them is given. A new password is asked for twice.
enum class PasswordFor { kLogin, kNew };
Result<std::optional<std::string>> password_of(const Arguments& arguments, PasswordFor what);

// Of the terminal that the process belongs to. kInvalid: it belongs to none.
Result<std::string> ask_password(const std::string& prompt);
// The first line of a file, "-" for stdin, without its end. kTooLarge for more than a password has.
Result<std::string> read_password(const std::string& path);

}  // namespace casdisk
