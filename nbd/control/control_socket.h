// ControlSocket: where a server listens for commands: a Unix socket in the store's run/, with a
// name of its own, which the server writes into the leases that it takes.
//
// Who may connect is the file system's affair: the socket's mode is 0600 or, in a store whose
// server asks everybody for a grant, 0666; then run/ can be passed through (0711), and still not be
// listed.
//
// Its path is never an address: that has 107 bytes, a store's path may have more. The directory is
// opened and named through /proc/self/fd.
#pragma once

#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

// In leases, while a server looks whether it could serve: it will be back with a socket at once.
inline constexpr std::string_view kStartingNote = "starting";

enum class ControlSocketFor { kOwner, kEverybody };

class ControlSocket {
 public:
  // Makes run/ if need be, removes the sockets of servers that died, and listens. Whoever finds the
  // socket under its name can connect, if it is for him.
  static Result<ControlSocket> listen(const std::string& store_path,
                                      ControlSocketFor whom = ControlSocketFor::kOwner);

  ControlSocket(ControlSocket&& other) noexcept;
  ControlSocket& operator=(ControlSocket&&) = delete;
  // Removes the socket.
  ~ControlSocket();

  // Makes the symbolic link STORE/run/ALIAS.control to it: for those who may connect and may not
  // read leases. It replaces another server's, and goes with the socket.
  Result<void> publish(const std::string& alias);

  int descriptor() const { return descriptor_; }
  const std::string& name() const { return name_; }  // "<pid>-<random>.control"

 private:
  ControlSocket(int descriptor, int directory, std::string name)
      : descriptor_(descriptor), directory_(directory), name_(std::move(name)) {}

  int descriptor_;
  int directory_;
  std::string name_;
  std::string alias_;  // empty: none
};

// A connection to the socket of that name, which comes from a lease file and is not believed.
// kNotFound: whoever listened there is gone. kIo with ETIMEDOUT: it has no time for us.
Result<int> connect_to_control_socket(const std::string& store_path, const std::string& name);

}  // namespace casdisk
