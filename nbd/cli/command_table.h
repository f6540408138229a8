// Which command the words of a command line mean. Some commands have parts: `casdisk kv get`.
//
// Plain values; no threads.
#pragma once

#include "nbd/cli/commands.h"

namespace casdisk {

struct ChosenCommand {
  std::string name;                // "ls", "kv get"
  const Command* command;          // one with parts, where none of them was named
  std::vector<std::string> words;  // all others
};

// kInvalid when there is no such command, or no such part, with what may have been meant.
Result<ChosenCommand> choose_command(std::span<const Command> commands, const CommandLine& line);

// "commands:", a line for each, and the options of every command.
std::string commands_text(std::span<const Command> commands);
// The help of a command with parts.
std::string parts_text(const Command& command);

}  // namespace casdisk
