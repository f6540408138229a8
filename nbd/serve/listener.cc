#include "nbd/serve/listener.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "cas/os/retry.h"

namespace casdisk {
namespace {

constexpr int kStreamSocket = SOCK_STREAM | SOCK_CLOEXEC;

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  static_assert(sizeof(address.sun_path) == kMaxSocketPathBytes + 1);
  if (path.size() > kMaxSocketPathBytes) {
    return Error{
        Fault::kInvalid, 0,
        fmt::format("socket path {} has {} bytes, the system allows {}: choose a shorter one "
                    "with --socket",
                    path, path.size(), kMaxSocketPathBytes)};
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

template <typename Address>
const sockaddr* generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// Removes the socket file of a server that is gone. REQUIRES: the lock on `path` is held.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return os_error(errno, path);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Error{Fault::kExists, 0, path + " exists and is not a socket"};
  }
  // Somebody who does not know our locks may be listening there.
  int trial = ::socket(AF_UNIX, kStreamSocket | SOCK_NONBLOCK, 0);
  if (trial < 0) return os_error(errno, "socket");
  bool refused = ::connect(trial, generic(address), sizeof(address)) != 0 && errno == ECONNREFUSED;
  ::close(trial);
  if (!refused) return Error{Fault::kBusy, 0, path + " is busy: another program listens on it"};
  if (::unlink(path.c_str()) != 0) return os_error(errno, path);
  return {};
}

// The file is made with its mode: by its path one could change another that took its place.
bool bind_for(SocketFor whom, int descriptor, const sockaddr_un& address) {
  const mode_t before = whom == SocketFor::kEverybody ? ::umask(0111) : mode_t();
  const bool is_bound = ::bind(descriptor, generic(address), sizeof(address)) == 0;
  const int failure = errno;
  if (whom == SocketFor::kEverybody) ::umask(before);
  errno = failure;
  return is_bound;
}

// REQUIRES: the lock on `path` is held.
Result<int> bound_socket(const std::string& path, const sockaddr_un& address, SocketFor whom) {
  TRY(remove_stale(path, address));
  int descriptor = ::socket(AF_UNIX, kStreamSocket, 0);
  if (descriptor < 0) return os_error(errno, "socket");
  if (bind_for(whom, descriptor, address) && ::listen(descriptor, SOMAXCONN) == 0) {
    return descriptor;
  }
  Error error = os_error(errno, "socket " + path);
  ::close(descriptor);
  return error;
}

struct AddressList {
  ~AddressList() {
    if (first != nullptr) ::freeaddrinfo(first);
  }
  addrinfo* first = nullptr;
};

bool is_loopback(const addrinfo& found) {
  if (found.ai_family == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<sockaddr_in6*>(found.ai_addr)->sin6_addr);
  }
  uint32_t address = ntohl(reinterpret_cast<sockaddr_in*>(found.ai_addr)->sin_addr.s_addr);
  return address >> 24 == 127;
}

uint16_t bound_port(int descriptor) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  CHECK(::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  // The port stands at the same place in both families.
  return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

}  // namespace

Result<Listener> Listener::on_unix_socket(const std::string& path, SocketFor whom) {
  TRY_ASSIGN(sockaddr_un address, unix_address(path));
  const std::string lock_path = path + ".lock";
  auto lock = FileLock::acquire(lock_path, "socket " + path);
  if (!lock.ok()) {
    if (lock.error().fault != Fault::kBusy) lock.error().context = "socket " + path;
    return std::move(lock.error());
  }
  auto descriptor = bound_socket(path, address, whom);
  if (!descriptor.ok()) {
    ::unlink(lock_path.c_str());
    return std::move(descriptor.error());
  }
  Listener listener(descriptor.value());
  listener.path_ = path;
  listener.lock_ = std::move(lock).value();
  return listener;
}

Result<Listener> Listener::on_tcp(const std::string& address, uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  AddressList list;
  std::string port_text = fmt::format("{}", port);
  if (::getaddrinfo(address.c_str(), port_text.c_str(), &hints, &list.first) != 0) {
    return Error{Fault::kInvalid, 0, fmt::format("--bind {:?}: not an IP address", address)};
  }
  const addrinfo& found = *list.first;
  Listener listener(::socket(found.ai_family, kStreamSocket, 0));
  if (listener.descriptor_ < 0) return os_error(errno, "socket");
  int on = 1;
  (void)::setsockopt(listener.descriptor_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  std::string what = fmt::format("port {} of {}", port, address);
  if (::bind(listener.descriptor_, found.ai_addr, found.ai_addrlen) != 0 ||
      ::listen(listener.descriptor_, SOMAXCONN) != 0) {
    if (errno == EADDRINUSE) {
      return Error{Fault::kBusy, 0, what + " is busy: another program listens on it"};
    }
    if (errno == EADDRNOTAVAIL) {
      return Error{Fault::kInvalid, 0, what + ": this machine does not have that address"};
    }
    return os_error(errno, what);
  }
  listener.port_ = bound_port(listener.descriptor_);
  listener.open_to_others_ = !is_loopback(found);
  return listener;
}

Listener::Listener(Listener&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::exchange(other.path_, "")),
      lock_(std::exchange(other.lock_, std::nullopt)),
      port_(other.port_),
      open_to_others_(other.open_to_others_) {}

Listener::~Listener() {
  remove();
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Listener::remove() {
  if (path_.empty()) return;
  ::unlink(path_.c_str());
  ::unlink((path_ + ".lock").c_str());
  path_.clear();
}

Result<int> Listener::connect() const {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return os_error(errno, "getsockname");
  }
  int descriptor = ::socket(address.ss_family, kStreamSocket | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return os_error(errno, "socket");
  if (::connect(descriptor, generic(address), length) != 0 && errno != EINPROGRESS) {
    Error error = os_error(errno, "connecting to our own socket");
    ::close(descriptor);
    return error;
  }
  return descriptor;
}

}  // namespace casdisk
