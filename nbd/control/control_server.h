// ControlServer: answers commands on a server's control socket (docs/CONTROL.md).
//
// A thread for each connection, at most kMaxControlConnections. A connection's requests are worked
// off one after another. A client that goes away ends what it waits for.
//
// Root and our own user may ask for everything; others, the guests, where the store is guarded, for
// what they are granted. Guests cannot take all connections, nor one of them all of theirs, nor
// keep one for nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "cas/os/file_system.h"
#include "nbd/auth/peer.h"
#include "nbd/control/control_permissions.h"
#include "nbd/control/control_socket.h"
#include "nbd/control/control_stream.h"
#include "nbd/control/disk_operations.h"

namespace casdisk {

inline constexpr size_t kMaxControlConnections = 64;
inline constexpr size_t kMaxGuestConnections = 48;   // of those
inline constexpr size_t kMaxConnectionsOfGuest = 4;  // of one Unix user; of those
// Of a guest, from the answer to the next request.
inline constexpr std::chrono::seconds kMaxGuestIdle{10};

class ControlServer {
 public:
  // kIo when the system has no more threads. `operations` and `guard` outlive the server.
  static Result<std::unique_ptr<ControlServer>> start(ControlSocket socket,
                                                      DiskOperations& operations, Guard& guard);
  // Ends all waits and connections, and the socket.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct Connection {
    explicit Connection(int descriptor)
        : stream(descriptor), peer(peer_of_unix_socket(descriptor)) {}
    bool is_guest() const { return !is_owner_or_root(peer); }

    ControlStream stream;
    const Peer peer;
    std::atomic<bool> done = false;
    std::thread thread;
  };

  ControlServer(ControlSocket socket, DiskOperations& operations, Guard& guard)
      : socket_(std::move(socket)), operations_(operations), permissions_(guard) {}
  void accept_until_stopped();
  void take(int descriptor);
  bool has_room_for(const Connection& connection) const;
  void join_those_done();
  void converse(Connection& connection);
  Result<ControlAnswer> run(Connection& connection, ControlCaller& caller,
                            const ControlRequest& request);
  bool answer(Connection& connection, ControlCaller& caller, const std::string& line);

  // Fixed after construction.
  ControlSocket socket_;
  DiskOperations& operations_;
  ControlPermissions permissions_;

  std::atomic<bool> stopping_ = false;
  std::list<std::unique_ptr<Connection>> connections_;  // of the accepting thread, then of ~
  std::thread acceptor_;
};

}  // namespace casdisk
