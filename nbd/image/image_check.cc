#include "nbd/image/image_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "cas/os/retry.h"

namespace casdisk {
namespace {

constexpr useconds_t kLookEveryUs = 10'000;

// qemu-img(1), "check".
constexpr int kWhole = 0, kLeaks = 3, kCannotCheck = 63;

Result<pid_t> start_silent(const std::string& program, std::vector<std::string> words) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return os_error(error, program);
  return pid;
}

Result<int> wait_for(pid_t pid, const std::function<bool()>& stop) {
  bool stopped = false;
  int status = 0;
  for (;;) {
    pid_t ended = retry_interrupted([&] { return ::waitpid(pid, &status, stopped ? 0 : WNOHANG); });
    if (stopped) return Error{Fault::kIo, EINTR, "stopped"};
    if (ended == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (ended < 0) return os_error(errno, "waiting for qemu-img");
    stopped = stop();
    if (stopped) ::kill(pid, SIGKILL);
    if (!stopped) ::usleep(kLookEveryUs);
  }
}

}  // namespace

Result<std::string> find_qemu_tool(const std::string& program) {
  const char* variable = std::getenv("PATH");
  std::string_view path = variable == nullptr ? "/usr/bin:/bin" : variable;
  while (!path.empty()) {
    std::string_view folder = path.substr(0, path.find(':'));
    std::string candidate = fmt::format("{}/{}", folder, program);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    path.remove_prefix(std::min(path.size(), folder.size() + 1));
  }
  return Error{Fault::kUnsupported, 0,
               fmt::format("{} is not installed: on Debian, apt-get install qemu-utils", program)};
}

Result<void> check_image(const std::string& path, const std::string& format,
                         const std::function<bool()>& stop) {
  TRY_ASSIGN(std::string program, find_qemu_tool("qemu-img"));
  TRY_ASSIGN(pid_t pid,
             start_silent(program, {"qemu-img", "check", "-q", "-f", format, "--", path}));
  TRY_ASSIGN(int status, wait_for(pid, stop));
  if (status == kWhole || status == kLeaks || status == kCannotCheck) return {};
  return Error{Fault::kDamaged, 0,
               fmt::format("{} is no whole {} image, cut short perhaps, or somebody has it open; "
                           "`qemu-img check -f {} {}` says more",
                           path, format, format, path)};
}

}  // namespace casdisk
