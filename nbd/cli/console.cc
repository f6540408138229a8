#include "nbd/cli/console.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "nbd/auth/hidden_tokens.h"

namespace casdisk {

std::string json_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void Console::write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size()) write_error_ = errno;
}

Result<void> Console::print(std::string_view bytes) {
  write(bytes);
  return write_error_ == 0 ? Result<void>() : Error{Fault::kIo, write_error_, "stdout"};
}

void Console::answer(const std::string& text, const Json& json) {
  write(options_.json ? json_text(json) : text);
}

void Console::note(const std::string& line) const {
  if (!options_.quiet) std::fprintf(stderr, "casdisk: %s\n", line.c_str());
}

void Console::fail(const Error& error, int exit) {
  // An NBD URI that the user gave may have one in it.
  const std::string text =
      error.os_error == EINTR ? "interrupted" : with_tokens_hidden(describe(error));
  std::fprintf(stderr, "casdisk: %s\n", text.c_str());
  if (options_.json) write(json_text({{"error", text}, {"exit", exit}}));
}

bool Console::shows_progress() const {
  return !options_.json && !options_.quiet && ::isatty(STDERR_FILENO) == 1;
}

Result<void> Console::finish() {
  if (std::fflush(stdout) != 0 && write_error_ == 0) write_error_ = errno;
  if (write_error_ == 0) return {};
  return Error{Fault::kIo, write_error_, "stdout"};
}

}  // namespace casdisk
