#include "nbd/cli/command_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace casdisk {
namespace {

const Command* find_command(std::span<const Command> commands, const std::string& name) {
  const auto found =
      std::ranges::find_if(commands, [&](const Command& command) { return command.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

// `before`: of a part, the command that it is one of, and a space.
Error unknown_command(std::span<const Command> commands, const std::string& before,
                      const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : commands) names.push_back(command.name);
  const auto meant = closest(name, names);
  return Error{Fault::kInvalid, 0,
               fmt::format("unknown command {:?}{}; `casdisk {}--help` lists them", before + name,
                           meant ? ", did you mean " + before + *meant + "?" : "", before)};
}

}  // namespace

Result<ChosenCommand> choose_command(std::span<const Command> commands, const CommandLine& line) {
  const Command* command = find_command(commands, line.command);
  if (command == nullptr) return unknown_command(commands, "", line.command);
  if (command->parts == nullptr) return ChosenCommand{command->name, command, line.words};
  const CommandLine rest = split_command(line.words);
  if (rest.command.empty()) return ChosenCommand{command->name, command, line.words};
  const auto parts = command->parts();
  const std::string before = std::string(command->name) + " ";
  const Command* part = find_command(parts, rest.command);
  if (part == nullptr) return unknown_command(parts, before, rest.command);
  return ChosenCommand{before + part->name, part, rest.words};
}

std::string commands_text(std::span<const Command> commands) {
  std::string text = "commands:\n";
  for (const Command& command : commands) {
    text += fmt::format("  {:<12}{}\n", command.name, command.summary);
  }
  return text + "\nof every command:\n" + options_text(global_options());
}

std::string parts_text(const Command& command) {
  return fmt::format(
      "casdisk {0}: {1}\n\nusage: casdisk {0} COMMAND [ARGUMENT...] [OPTION...]\n\n{2}\n"
      "`casdisk {0} COMMAND --help` says more.\n",
      command.name, command.summary, commands_text(command.parts()));
}

}  // namespace casdisk
