#include "nbd/serve/nbdkit_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace casdisk {
namespace {

constexpr const char* kPluginFile = "nbdkit-casdisk-plugin.so";
constexpr int kActivationDescriptor = 3;  // the first one, by the protocol of socket activation

Result<std::string> find_nbdkit() {
  const char* variable = std::getenv("PATH");
  std::string path = variable == nullptr ? "" : variable;
  path += ":/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin";
  for (size_t at = 0; at <= path.size();) {
    size_t end = std::min(path.find(':', at), path.size());
    std::string candidate = path.substr(at, end - at) + "/nbdkit";
    if (candidate[0] == '/' && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return Error{Fault::kUnsupported, 0,
               "nbdkit is not installed: on Debian, apt-get install nbdkit"};
}

// A file, or the short name by which nbdkit finds installed plugins.
std::string find_plugin() {
  const char* variable = std::getenv("CASDISK_PLUGIN");
  if (variable != nullptr && *variable != '\0') return variable;
  std::error_code failure;
  auto executable = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (!failure) {
    auto beside = executable.parent_path() / kPluginFile;
    if (std::filesystem::exists(beside, failure)) return beside.string();
  }
  return "casdisk";
}

std::string_view io_name(IoChoice io) {
  switch (io) {
    case IoChoice::kUring:
      return "uring";
    case IoChoice::kPosix:
      return "posix";
    case IoChoice::kAuto:
      break;
  }
  return "auto";
}

// A shell's limit of 1024 would do for some hundred disks and connections; the hard one is the
// administrator's word.
void take_all_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

[[noreturn]] void run_child(const NbdkitCommand& command, std::vector<char*>& arguments,
                            int listening_descriptor, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  take_all_descriptors();

  int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  if (listening_descriptor == kActivationDescriptor) {
    ::fcntl(listening_descriptor, F_SETFD, 0);
  } else {
    ::dup2(listening_descriptor, kActivationDescriptor);
  }
  ::setenv("LISTEN_FDS", "1", 1);
  ::setenv("LISTEN_PID", fmt::format("{}", ::getpid()).c_str(), 1);
  ::execv(command.program.c_str(), arguments.data());
  std::perror(command.program.c_str());
  ::_exit(127);
}

}  // namespace

Result<NbdkitCommand> nbdkit_command(const ServeOptions& options, const std::string& store,
                                     const std::string& psk_file) {
  NbdkitCommand command;
  TRY_ASSIGN(command.program, find_nbdkit());
  auto& arguments = command.arguments;
  arguments = {"nbdkit", "--foreground", "--threads", fmt::format("{}", options.threads)};
  if (options.read_only) arguments.push_back("--readonly");
  if (!options.structured_replies) arguments.push_back("--no-sr");
  if (!psk_file.empty()) {
    arguments.push_back("--tls=require");
    arguments.push_back("--tls-psk=" + psk_file);
  }
  arguments.push_back(find_plugin());
  if (!psk_file.empty()) arguments.push_back("psk-file=" + psk_file);
  arguments.push_back("store=" + store);
  if (!options.volume.empty()) arguments.push_back("disk=" + options.volume);
  if (options.cache_bytes) arguments.push_back(fmt::format("cache={}", *options.cache_bytes));
  arguments.push_back(fmt::format("io={}", io_name(options.io)));
  if (options.overlay_limit_bytes) {
    arguments.push_back(fmt::format("overlay-limit={}", *options.overlay_limit_bytes));
  }
  if (options.seal_idle) {
    arguments.push_back(fmt::format("seal-idle={}", options.seal_idle->count()));
  }
  if (!options.write_behind) arguments.push_back("write-behind=no");
  return command;
}

Result<pid_t> start_nbdkit(const NbdkitCommand& command, int listening_descriptor) {
  std::vector<char*> arguments;
  for (const std::string& argument : command.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_t child = ::fork();
  if (child < 0) return os_error(errno, "starting nbdkit");
  if (child == 0) run_child(command, arguments, listening_descriptor, parent);
  return child;
}

}  // namespace casdisk
