#include "nbd/cli/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>

#include "nbd/size_text.h"

namespace casdisk {
namespace {

namespace po = boost::program_options;

constexpr const char* kPositionals = "arguments";

Error usage(std::string context) { return Error{Fault::kInvalid, 0, std::move(context)}; }

const OptionSyntax* find_option(const std::vector<OptionSyntax>& options, std::string_view name) {
  auto found = std::find_if(options.begin(), options.end(),
                            [&](const OptionSyntax& option) { return option.name == name; });
  return found == options.end() ? nullptr : &*found;
}

std::vector<OptionSyntax> all_options(const Syntax& syntax) {
  std::vector<OptionSyntax> options = syntax.options;
  options.insert(options.end(), global_options().begin(), global_options().end());
  return options;
}

Error unknown_option(const std::string& command, const std::vector<OptionSyntax>& options,
                     const std::string& given) {
  std::vector<std::string> names;
  names.reserve(options.size());
  for (const OptionSyntax& option : options) names.push_back("--" + option.name);
  auto meant = closest(given, names);
  return usage(fmt::format("{}: unknown option {}{}; `casdisk {} --help` lists them", command,
                           given, meant ? ", did you mean " + *meant + "?" : "", command));
}

// Boost throws; this is where it is caught.
Result<po::parsed_options> parse_words(const std::string& command,
                                       const std::vector<OptionSyntax>& options,
                                       const std::vector<std::string>& words) {
  try {
    po::options_description description;
    for (const OptionSyntax& option : options) {
      if (option.value.empty()) {
        std::string names = option.name == "help" ? "help,h" : option.name;
        description.add_options()(names.c_str(), "");
      } else {
        description.add_options()(option.name.c_str(), po::value<std::string>());
      }
    }
    description.add_options()(kPositionals, po::value<std::vector<std::string>>());
    po::positional_options_description positionals;
    positionals.add(kPositionals, -1);
    namespace style = po::command_line_style;
    return po::command_line_parser(words)
        .options(description)
        .positional(positionals)
        .style(style::unix_style & ~style::allow_guessing)  // what is a prefix may not stay one
        .run();
  } catch (const po::unknown_option& error) {
    return unknown_option(command, options, error.get_option_name());
  } catch (const std::exception& error) {
    return usage(fmt::format("{}: {}; see `casdisk {} --help`", command, error.what(), command));
  }
}

Result<void> check_positionals(const std::string& command, const Syntax& syntax, size_t given) {
  auto required = size_t(std::count_if(syntax.positionals.begin(), syntax.positionals.end(),
                                       [](const PositionalSyntax& p) { return p.required; }));
  const bool repeats = !syntax.positionals.empty() && syntax.positionals.back().repeats;
  if (given >= required && (repeats || given <= syntax.positionals.size())) return {};
  std::string wrong = given < required ? "missing " + syntax.positionals[given].name
                                       : fmt::format("{} arguments are too many", given);
  return usage(fmt::format("{}: {}; usage: casdisk {}", command, wrong, synopsis(command, syntax)));
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); j++) row[j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<std::string> Arguments::text(const std::string& option) const {
  auto found = options_.find(option);
  if (found == options_.end()) return std::nullopt;
  return found->second.front();
}

std::vector<std::string> Arguments::texts(const std::string& option) const {
  auto found = options_.find(option);
  return found == options_.end() ? std::vector<std::string>() : found->second;
}

Result<std::optional<uint64_t>> Arguments::size(const std::string& option) const {
  auto given = text(option);
  if (!given) return std::optional<uint64_t>();
  TRY_ASSIGN(uint64_t bytes, parse_size(*given, "--" + option));
  return std::optional<uint64_t>(bytes);
}

Result<std::optional<uint64_t>> Arguments::number(const std::string& option, uint64_t least,
                                                  uint64_t most) const {
  auto given = text(option);
  if (!given) return std::optional<uint64_t>();
  uint64_t number = 0;
  const char* end = given->data() + given->size();
  auto parsed = std::from_chars(given->data(), end, number);
  if (parsed.ec == std::errc() && parsed.ptr == end && number >= least && number <= most) {
    return std::optional<uint64_t>(number);
  }
  return usage(
      fmt::format("--{} {:?}: give a whole number from {} to {}", option, *given, least, most));
}

const std::vector<OptionSyntax>& global_options() {
  static const std::vector<OptionSyntax> options = {
      {"store", "DIR",
       "the store (default: $CASDISK_STORE, else /var/lib/casdisk for root and\n"
       "~/.local/share/casdisk for everybody else)"},
      {"json", "", "print one JSON object on stdout, errors too"},
      {"quiet", "", "no progress, no notes"},
      {"io", "HOW", "auto, uring or posix: how files are read and written (default auto)"},
      {"cache", "SIZE", "memory for chunks that were read (default 64M)"},
      {"help", "", "this text"},
  };
  return options;
}

CommandLine split_command(std::vector<std::string> words) {
  for (size_t i = 0; i < words.size(); i++) {
    if (words[i].size() < 2 || words[i][0] != '-') {
      CommandLine line{words[i], std::move(words)};
      line.words.erase(line.words.begin() + ptrdiff_t(i));
      return line;
    }
    const OptionSyntax* option =
        words[i].starts_with("--") ? find_option(global_options(), words[i].substr(2)) : nullptr;
    if (option != nullptr && !option->value.empty()) i++;
  }
  return {"", std::move(words)};
}

Result<Arguments> parse_arguments(const std::string& command, const Syntax& syntax,
                                  const std::vector<std::string>& words) {
  const std::vector<OptionSyntax> known = all_options(syntax);
  TRY_ASSIGN(auto parsed, parse_words(command, known, words));
  Arguments::Options options;
  std::vector<std::string> positionals;
  for (const po::option& option : parsed.options) {
    if (option.string_key == kPositionals) {
      positionals.insert(positionals.end(), option.value.begin(), option.value.end());
      continue;
    }
    auto& values = options[option.string_key];
    values.push_back(option.value.empty() ? "" : option.value[0]);
    const OptionSyntax* of = find_option(known, option.string_key);
    if (values.size() > 1 && (of == nullptr || !of->repeats)) {
      return usage(fmt::format("{}: --{} is given twice", command, option.string_key));
    }
  }
  if (options.count("help") == 0) TRY(check_positionals(command, syntax, positionals.size()));
  return Arguments(std::move(options), std::move(positionals));
}

std::optional<std::string> closest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  size_t best_distance =
      word.size() < 5 ? 2 : 3;  // this far off is no longer a slip of the fingers
  for (const std::string& candidate : candidates) {
    bool begun = word.size() >= 2 && candidate.starts_with(word) && word != "--";
    size_t distance = begun ? 1 : edit_distance(word, candidate);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

std::string synopsis(const std::string& command, const Syntax& syntax) {
  std::string text = command;
  for (const PositionalSyntax& positional : syntax.positionals) {
    text += positional.required ? " " + positional.name : " [" + positional.name + "]";
  }
  return text + " [OPTION...]";
}

std::string options_text(const std::vector<OptionSyntax>& options) {
  constexpr size_t kColumn = 22;
  std::string text;
  for (const OptionSyntax& option : options) {
    std::string left = "  --" + option.name + (option.value.empty() ? "" : " " + option.value);
    text += fmt::format("{:<{}}", left, kColumn);
    if (left.size() >= kColumn) text += "\n" + std::string(kColumn, ' ');
    for (char c : option.help) {
      text += c;
      if (c == '\n') text += std::string(kColumn, ' ');
    }
    text += '\n';
  }
  return text;
}

std::string help_text(const std::string& command, const std::string& summary,
                      const Syntax& syntax) {
  std::string text = fmt::format("casdisk {}: {}\n\nusage: casdisk {}\n", command, summary,
                                 synopsis(command, syntax));
  if (!syntax.about.empty()) text += "\n" + syntax.about + "\n";
  if (!syntax.options.empty()) text += "\noptions:\n" + options_text(syntax.options);
  text += "\nof every command:\n" + options_text(global_options());
  text +=
      "\nexit codes:\n  0 done   1 not found, exists already, or differs   2 wrong usage\n"
      "  3 I/O error or damage   4 busy, held by another process   130 interrupted\n";
  text += syntax.exit_codes;
  if (!syntax.examples.empty()) text += "\nexamples:\n" + syntax.examples;
  return text;
}

}  // namespace casdisk
