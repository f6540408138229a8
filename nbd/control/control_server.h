// ControlServer: answers commands on a server's control socket (docs/CONTROL.md).
//
// A thread for each connection, at most kMaxControlConnections. A connection's requests are worked
// off one after another. A client that goes away ends what it waits for.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "cas/os/file_system.h"
#include "nbd/control/control_socket.h"
#include "nbd/control/control_stream.h"
#include "nbd/control/disk_operations.h"

namespace casdisk {

inline constexpr size_t kMaxControlConnections = 64;

class ControlServer {
 public:
  // kIo when the system has no more threads. `operations` outlives the server.
  static Result<std::unique_ptr<ControlServer>> start(ControlSocket socket,
                                                      DiskOperations& operations);
  // Ends all waits and connections, and the socket.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct Connection {
    explicit Connection(int descriptor) : stream(descriptor) {}
    ControlStream stream;
    std::atomic<bool> done = false;
    std::thread thread;
  };

  ControlServer(ControlSocket socket, DiskOperations& operations)
      : socket_(std::move(socket)), operations_(operations) {}
  void accept_until_stopped();
  void take(int descriptor);
  void join_those_done();
  void converse(Connection& connection);
  bool answer(Connection& connection, ControlCaller& caller, const std::string& line);

  // Fixed after construction.
  ControlSocket socket_;
  DiskOperations& operations_;

  std::atomic<bool> stopping_ = false;
  std::list<std::unique_ptr<Connection>> connections_;  // of the accepting thread, then of ~
  std::thread acceptor_;
};

}  // namespace casdisk
