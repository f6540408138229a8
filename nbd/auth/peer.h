// Peer: who is at the other end of a connection, as the kernel says.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <optional>
#include <string>

namespace casdisk {

struct Peer {
  std::optional<uid_t> uid;   // of a process at the other end of a Unix socket
  std::string address;        // of anybody else, as far as it is known
  bool is_overheard = false;  // neither a Unix socket nor TLS: others may read what it sends
};

// Of a connected Unix socket (SO_PEERCRED): who connected, whoever has the connection now.
Peer peer_of_unix_socket(int descriptor);
// "192.0.2.7"; empty where the address is none of TCP.
std::string ip_address_text(const sockaddr_storage& address, socklen_t length);

// Root and the user that this process runs as, on a Unix socket: they can read the store's files,
// so nothing is kept from them.
bool is_owner_or_root(const Peer& peer);

// "uid 1000", "192.0.2.7": for logs and the audit trail.
std::string peer_text(const Peer& peer);

}  // namespace casdisk
