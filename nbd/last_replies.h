// LastReplies: ends connections that still have requests under way, so that their replies arrive
// and nobody gets an error.
//
// nbdkit 1.32 aborts when it cannot send a reply, and answers with ESHUTDOWN, which a guest takes
// for a failing disk, what it has read when the connection ends. So the client's socket is taken
// from under it: what nbdkit has from now on is one end of a pair of our own, which reads as an end
// of file and takes replies, and we carry these to the client. One thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <vector>

namespace casdisk {

// A socket by its descriptor and its inode: the descriptor may be another file's by now.
struct SocketName {
  int descriptor = -1;
  ino_t inode = 0;
};

class LastReplies {
 public:
  LastReplies() = default;
  ~LastReplies();
  LastReplies(const LastReplies&) = delete;
  LastReplies& operator=(const LastReplies&) = delete;

  // Takes a client's socket. REQUIRES: a request of its connection waits at the gate meanwhile,
  // so that nobody closes the descriptor. False: it is not that socket.
  bool take(const SocketName& socket);

  // Carries what nbdkit answers until it has closed all connections that were taken, and ends them.
  void carry(std::chrono::milliseconds at_most);

 private:
  struct Connection {
    int client = -1;   // the client's socket
    int replies = -1;  // our end of the pair; -1: nbdkit has closed
  };
  static void carry_some(Connection& connection);

  std::vector<Connection> connections_;
};

// Ends a connection of which nothing waits. False: it is not that socket.
bool shut_for_reading(const SocketName& socket);

}  // namespace casdisk
