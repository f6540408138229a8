// Arguments: the words of a command line, checked against the command's Syntax.
//
// The one door to Boost.Program_options is arguments.cc. Plain values; no threads.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cas/os/result.h"

namespace casdisk {

struct OptionSyntax {
  std::string name;   // "size" for --size
  std::string value;  // what the help calls its value, "SIZE"; empty for a flag
  std::string help;
  bool repeats = false;  // may be given more than once
};

struct PositionalSyntax {
  std::string name;
  bool required = true;
  bool repeats = false;  // the last one: takes all that are left
};

// What a command takes, and what its --help says.
struct Syntax {
  std::vector<PositionalSyntax> positionals;
  std::vector<OptionSyntax> options;
  std::string about;       // sentences under the synopsis
  std::string exit_codes;  // lines in addition to those that all commands have
  std::string examples;    // command lines
};

class Arguments {
 public:
  using Options = std::map<std::string, std::vector<std::string>>;
  Arguments(Options options, std::vector<std::string> positionals)
      : options_(std::move(options)), positionals_(std::move(positionals)) {}

  bool has(const std::string& option) const { return options_.count(option) != 0; }
  std::optional<std::string> text(const std::string& option) const;
  // Of an option that repeats: all its values, in their order.
  std::vector<std::string> texts(const std::string& option) const;
  // As parse_size() reads it.
  Result<std::optional<uint64_t>> size(const std::string& option) const;
  // A whole number within [least, most].
  Result<std::optional<uint64_t>> number(const std::string& option, uint64_t least,
                                         uint64_t most) const;

  size_t positional_count() const { return positionals_.size(); }
  const std::string& positional(size_t i) const { return positionals_.at(i); }

 private:
  Options options_;  // a flag's value is empty
  std::vector<std::string> positionals_;
};

// The options that every command takes, before or after its name.
const std::vector<OptionSyntax>& global_options();

// The command's name, wherever global options have let it stand, and all other words.
struct CommandLine {
  std::string command;  // empty: there is none
  std::vector<std::string> words;
};
CommandLine split_command(std::vector<std::string> words);

// kInvalid says what is wrong, with a suggestion where one is near.
Result<Arguments> parse_arguments(const std::string& command, const Syntax& syntax,
                                  const std::vector<std::string>& words);

// The candidate that `word` was probably meant to be.
std::optional<std::string> closest(std::string_view word,
                                   const std::vector<std::string>& candidates);

// "import [OPTION...] SRC NAME"
std::string synopsis(const std::string& command, const Syntax& syntax);
// All of it: synopsis, options, exit codes, examples.
std::string help_text(const std::string& command, const std::string& summary, const Syntax& syntax);
// Options in two columns.
std::string options_text(const std::vector<OptionSyntax>& options);

}  // namespace casdisk
