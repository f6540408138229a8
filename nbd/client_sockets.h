// ClientSockets: which socket of this process is which client's, so that the clients of one disk
// can be told to come again.
//
// nbdkit tells a plugin neither its connections' descriptors nor how to end one. But all sockets
// that it accepted have the address that it listens on; of those, the one that no other client is
// known to have is the new client's. Where several clients come at one moment a socket may be one
// of a few, until the others are known.
//
// hang_up() makes nbdkit see an end of file between two requests, as of a client that has closed
// its side: it answers what it has, and closes. The client sees the end of the connection. Safe to
// call from any thread.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "nbd/last_replies.h"

namespace casdisk {

// What nbdkit knows of the client at the other end.
struct ClientPeer {
  sockaddr_storage address{};
  socklen_t address_bytes = 0;  // 0: unknown
  int64_t pid = -1;             // of a client on a unix socket; -1: unknown
};

class ClientSockets {
 public:
  // A client has come: `client` names it until remove(), and `waiting` counts its requests that
  // wait at the gate. Call it while the client's handshake waits for an answer.
  void add(const void* client, const std::string& export_name, const ClientPeer& peer,
           const std::atomic<unsigned>& waiting);
  void remove(const void* client);

  // Hangs up on the clients of an export as far as their sockets are known; `replies` gets those
  // that have requests waiting at the gate. Sockets that may be of another export's client are left
  // alone. Gives the clients that there are. REQUIRES: the gate stays held.
  std::vector<uint64_t> hang_up(const std::string& export_name, LastReplies& replies);
  // How many of those there still are.
  size_t count(const std::vector<uint64_t>& clients) const;

 private:
  // A socket's inode: unlike a descriptor it is not used again while somebody may think of it.
  using Socket = ino_t;
  struct Client {
    uint64_t number = 0;  // never used again
    std::string export_name;
    const std::atomic<unsigned>* waiting = nullptr;
    std::set<Socket> candidates;  // one of them is the client's
  };
  enum class Owner { kNone, kIdle, kBusy };  // of a socket, for one export
  Owner owner_of(Socket socket, const std::string& export_name) const;

  mutable std::mutex mutex_;
  std::map<const void*, Client> clients_;  // guarded by mutex_
  uint64_t last_number_ = 0;               // guarded by mutex_
};

}  // namespace casdisk
