#include "nbd/cli/password_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "cas/os/posix_file.h"
#include "cas/os/retry.h"
#include "nbd/auth/crypto.h"
#include "nbd/auth/password.h"
#include "nbd/cli/interrupt.h"

namespace casdisk {
namespace {

constexpr char kInterrupt = 3;  // Ctrl-C, where the terminal makes no signal of it

// A terminal that shows nothing of what is typed, and makes no signals of it either: a process that
// died here would leave it so.
class SilentTerminal {
 public:
  explicit SilentTerminal(int descriptor) : descriptor_(descriptor) {
    is_silent_ = ::tcgetattr(descriptor, &before_) == 0;
    if (!is_silent_) return;
    termios silent = before_;
    silent.c_lflag &= ~tcflag_t(ECHO | ISIG);
    is_silent_ = ::tcsetattr(descriptor, TCSAFLUSH, &silent) == 0;
  }
  ~SilentTerminal() {
    if (is_silent_) (void)::tcsetattr(descriptor_, TCSAFLUSH, &before_);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;
  bool is_silent() const { return is_silent_; }

 private:
  const int descriptor_;
  termios before_ = {};
  bool is_silent_ = false;
};

// One line, or what there is up to the end.
Result<std::string> read_line(int descriptor, const std::string& from) {
  std::string line;
  line.reserve(kMaxPasswordBytes + 1);  // never moved
  for (;;) {
    char c = 0;
    const ssize_t count = retry_interrupted([&] { return ::read(descriptor, &c, 1); });
    if (count < 0) {
      wipe(line);
      return os_error(errno, from);
    }
    if (count == 0 || c == '\n') break;
    if (line.size() == kMaxPasswordBytes) {
      wipe(line);
      return Error{Fault::kTooLarge, 0,
                   fmt::format("{}: its first line is longer than a password, which has at most {} "
                               "bytes",
                               from, kMaxPasswordBytes),
                   kMaxPasswordBytes, kMaxPasswordBytes + 1};
    }
    line += c;
  }
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

void say(int descriptor, const std::string& text) {
  [[maybe_unused]] const auto written = ::write(descriptor, text.data(), text.size());
}

}  // namespace

const OptionSyntax kPasswordOption = {"password", "", "ask for a password on the terminal"};
const OptionSyntax kPasswordFileOption = {"password-file", "FILE",
                                          "a file with the password in its first line; - is stdin"};

Result<std::string> ask_password(const std::string& prompt) {
  const int descriptor =
      retry_interrupted([] { return ::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC); });
  if (descriptor < 0) {
    return Error{Fault::kInvalid, 0,
                 "there is no terminal to ask for a password on: give --password-file"};
  }
  PosixFile terminal(descriptor, "/dev/tty");
  const SilentTerminal silent(descriptor);
  if (!silent.is_silent()) return os_error(errno, "/dev/tty: it cannot be made silent");
  say(descriptor, prompt + ": ");
  auto password = read_line(descriptor, "/dev/tty");
  say(descriptor, "\n");
  if (password.ok() && password.value().find(kInterrupt) != std::string::npos) {
    wipe(password.value());
    return stopped_error();
  }
  return password;
}

Result<std::string> read_password(const std::string& path) {
  if (path == "-") return read_line(STDIN_FILENO, "stdin");
  const int descriptor =
      retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (descriptor < 0) return os_error(errno, path);
  PosixFile file(descriptor, path);
  return read_line(descriptor, path);
}

Result<std::optional<std::string>> password_of(const Arguments& arguments, PasswordFor what) {
  const auto file = arguments.text("password-file");
  if (arguments.has("password") && file) {
    return Error{Fault::kInvalid, 0, "--password and --password-file exclude each other"};
  }
  if (file) {
    TRY_ASSIGN(std::string password, read_password(*file));
    return std::optional<std::string>(std::move(password));
  }
  if (!arguments.has("password")) return std::optional<std::string>();
  TRY_ASSIGN(std::string password, ask_password("password"));
  if (what == PasswordFor::kNew) {
    TRY_ASSIGN(std::string again, ask_password("the same again"));
    const bool is_same = again == password;
    wipe(again);
    if (!is_same) {
      wipe(password);
      return Error{Fault::kInvalid, 0, "these are two different passwords; nothing was changed"};
    }
  }
  return std::optional<std::string>(std::move(password));
}

}  // namespace casdisk
