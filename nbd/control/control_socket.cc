#include "nbd/control/control_socket.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

#include "cas/os/retry.h"

namespace casdisk {
namespace {

constexpr std::string_view kSuffix = ".control";
// Its name until it listens: under the other one it would look as if its server had died.
constexpr std::string_view kStartingSuffix = ".control-starting";
constexpr time_t kStartingSeconds = 60;
constexpr int kConnectTimeMs = 5000;
constexpr int kRetryMs = 20;

int new_socket() { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

Result<sockaddr_un> address_of(int directory, const std::string& name) {
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory, name);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return os_error(ENAMETOOLONG, path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// The name comes from a file: nothing that leads elsewhere.
bool is_socket_name(std::string_view name) {
  return name.ends_with(kSuffix) && name.find('/') == name.npos && name.size() <= 64;
}

Result<int> open_run_directory(const std::string& store_path, bool create) {
  const std::string path = store_path + "/run";
  if (create && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return os_error(errno, path);
  const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return os_error(errno, path);
  return directory;
}

Result<std::string> new_name() {
  uint64_t random = 0;
  if (::getrandom(&random, sizeof(random), 0) != ssize_t(sizeof(random))) {
    return os_error(errno, "getrandom");
  }
  return fmt::format("{}-{:016x}", ::getpid(), random);
}

// Nobody listens there any more. A connection that succeeds is a client that says nothing.
bool is_dead(int directory, const std::string& name) {
  auto address = address_of(directory, name);
  const int trial = new_socket();
  if (!address.ok() || trial < 0) return false;
  const bool refused =
      ::connect(trial, generic(address.value()), sizeof(sockaddr_un)) != 0 && errno == ECONNREFUSED;
  ::close(trial);
  return refused;
}

bool is_older_than(int directory, const std::string& name, time_t seconds) {
  struct stat status;
  return ::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         status.st_mtime + seconds < ::time(nullptr);
}

// What cannot be removed does no harm: nobody's lease names it.
void sweep(int directory) {
  const int listing = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = listing < 0 ? nullptr : ::fdopendir(listing);
  if (stream == nullptr) {
    if (listing >= 0) ::close(listing);
    return;
  }
  std::vector<std::string> dead;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string name = entry->d_name;
    const bool starting = name.ends_with(kStartingSuffix);
    if (!starting && !name.ends_with(kSuffix)) continue;
    if (starting && !is_older_than(directory, name, kStartingSeconds)) continue;
    if (is_dead(directory, name)) dead.push_back(name);
  }
  ::closedir(stream);
  for (const std::string& name : dead) ::unlinkat(directory, name.c_str(), 0);
}

// Mode 0600 from its first moment on: a socket has the mode that its descriptor had at bind().
Result<void> bind_and_listen(int descriptor, int directory, const std::string& name) {
  TRY_ASSIGN(sockaddr_un address, address_of(directory, name));
  if (::fchmod(descriptor, 0600) != 0 ||
      ::bind(descriptor, generic(address), sizeof(address)) != 0 ||
      ::listen(descriptor, SOMAXCONN) != 0) {
    return os_error(errno, "the control socket " + name);
  }
  return {};
}

bool is_link_to(int directory, const std::string& link, const std::string& name) {
  char target[128];
  const ssize_t count = ::readlinkat(directory, link.c_str(), target, sizeof(target));
  return count >= 0 && std::string_view(target, size_t(count)) == name;
}

// The umask has no say in it, as it has at bind().
Result<void> open_to_everybody(int directory, const std::string& name) {
  if (::fchmod(directory, 0711) != 0 || ::fchmodat(directory, name.c_str(), 0666, 0) != 0) {
    return os_error(errno, "letting other users reach the control socket " + name);
  }
  return {};
}

}  // namespace

Result<ControlSocket> ControlSocket::listen(const std::string& store_path, ControlSocketFor whom) {
  TRY_ASSIGN(int directory, open_run_directory(store_path, true));
  ControlSocket made(new_socket(), directory, "");
  if (made.descriptor_ < 0) return os_error(errno, "socket");
  sweep(directory);
  TRY_ASSIGN(std::string stem, new_name());
  const std::string starting = stem + std::string(kStartingSuffix);
  const std::string name = stem + std::string(kSuffix);
  made.name_ = starting;
  TRY(bind_and_listen(made.descriptor_, directory, starting));
  if (whom == ControlSocketFor::kEverybody) TRY(open_to_everybody(directory, starting));
  if (::renameat(directory, starting.c_str(), directory, name.c_str()) != 0) {
    return os_error(errno, "the control socket " + name);
  }
  made.name_ = name;
  return made;
}

ControlSocket::ControlSocket(ControlSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      directory_(std::exchange(other.directory_, -1)),
      name_(std::move(other.name_)),
      alias_(std::exchange(other.alias_, "")) {}

Result<void> ControlSocket::publish(const std::string& alias) {
  const std::string fresh = name_ + "-alias";
  const std::string wanted = alias + std::string(kSuffix);
  if (::symlinkat(name_.c_str(), directory_, fresh.c_str()) != 0 ||
      ::renameat(directory_, fresh.c_str(), directory_, wanted.c_str()) != 0) {
    return os_error(errno, "the control socket's link " + wanted);
  }
  alias_ = wanted;
  return {};
}

ControlSocket::~ControlSocket() {
  if (!alias_.empty() && is_link_to(directory_, alias_, name_)) {
    ::unlinkat(directory_, alias_.c_str(), 0);
  }
  if (directory_ >= 0 && !name_.empty()) ::unlinkat(directory_, name_.c_str(), 0);
  if (descriptor_ >= 0) ::close(descriptor_);
  if (directory_ >= 0) ::close(directory_);
}

Result<int> connect_to_control_socket(const std::string& store_path, const std::string& name) {
  if (!is_socket_name(name)) {
    return Error{Fault::kNotFound, 0, fmt::format("{:?} is no control socket", name)};
  }
  TRY_ASSIGN(int directory, open_run_directory(store_path, false));
  auto address = address_of(directory, name);
  const int descriptor = new_socket();
  int failure = descriptor < 0 ? errno : ENAMETOOLONG;
  if (descriptor >= 0 && address.ok()) {
    // A queue that is full is tried again: there is nothing to wait on.
    for (int waited_ms = 0;; waited_ms += kRetryMs) {
      failure = 0;
      if (::connect(descriptor, generic(address.value()), sizeof(sockaddr_un)) == 0) break;
      failure = errno == EAGAIN ? ETIMEDOUT : errno;
      if (failure != ETIMEDOUT || waited_ms >= kConnectTimeMs) break;
      ::poll(nullptr, 0, kRetryMs);
    }
  }
  ::close(directory);
  if (failure == 0) return descriptor;
  if (descriptor >= 0) ::close(descriptor);
  const std::string what = store_path + "/run/" + name;
  if (failure == ECONNREFUSED || failure == ENOENT) return Error{Fault::kNotFound, failure, what};
  return os_error(failure, what);
}

}  // namespace casdisk
