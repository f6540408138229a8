// Console: where the command's answers go: text for people or one JSON object, notes to stderr.
//
// The one door to the JSON library's writer is json_text(). Console is used by one thread; note()
// is safe from any.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cas/os/result.h"

namespace casdisk {

using Json = nlohmann::ordered_json;  // keys stay in the order they were written in

// One line. Bytes that are not UTF-8 (a path may have them) become U+FFFD.
std::string json_text(const Json& json);

struct ConsoleOptions {
  bool json = false;
  bool quiet = false;
};

class Console {
 public:
  explicit Console(const ConsoleOptions& options) : options_(options) {}

  // The command's answer: one of the two, on stdout.
  void answer(const std::string& text, const Json& json);
  // Of an answer that comes in pieces, or that is bytes: these, on stdout as they are. kIo when
  // something could not be written: there is no point in going on.
  Result<void> print(std::string_view bytes);
  // A line on stderr, "casdisk: " before it, unless --quiet.
  void note(const std::string& line) const;
  // Text on stderr; with --json also {"error", "exit"} on stdout.
  void fail(const Error& error, int exit);

  // Whether a progress bar would be seen and is wanted.
  bool shows_progress() const;
  bool is_json() const { return options_.json; }

  // kIo when something of what was answered could not be written.
  Result<void> finish();

 private:
  void write(std::string_view bytes);

  ConsoleOptions options_;
  int write_error_ = 0;
};

}  // namespace casdisk
