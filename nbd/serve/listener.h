// Listener: the socket that clients connect to. It outlives the servers that accept from it.
//
// A unix socket's path is held by a lock beside it (PATH.lock), so that a socket file found under
// the lock is a dead server's and is replaced. Both files go away with the Listener. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cas/os/file_lock.h"
#include "cas/os/result.h"

namespace casdisk {

// What a unix socket's address has room for.
inline constexpr size_t kMaxSocketPathBytes = 107;

// Who may connect to a Unix socket: as the umask says, or everybody on this machine, whom the
// server behind it asks for a grant.
enum class SocketFor { kUmask, kEverybody };

class Listener {
 public:
  // `path` is absolute, its directory exists. kInvalid when it is too long, kExists when something
  // else than a socket is there, kBusy when somebody listens on it. REQUIRES, for kEverybody: no
  // other thread makes files now, as the umask is the whole process's.
  static Result<Listener> on_unix_socket(const std::string& path,
                                         SocketFor whom = SocketFor::kUmask);

  // `address` is an IP address; port 0 takes any free one. kBusy when the port is taken.
  static Result<Listener> on_tcp(const std::string& address, uint16_t port);

  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  int descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }  // empty for TCP
  uint16_t port() const { return port_; }            // 0 for a unix socket
  // Whether other machines can connect.
  bool is_open_to_others() const { return open_to_others_; }

  // No client finds the unix socket any more; those that are connected stay.
  void remove();

  // A connection to ourselves, which becomes readable when a server greets it. Never waits: an
  // error, for one, when the queue is full of clients.
  Result<int> connect() const;

 private:
  explicit Listener(int descriptor) : descriptor_(descriptor) {}

  int descriptor_ = -1;
  std::string path_;
  std::optional<FileLock> lock_;
  uint16_t port_ = 0;
  bool open_to_others_ = false;
};

}  // namespace casdisk
