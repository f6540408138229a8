#include "nbd/auth/peer.h"

#include <fmt/format.h>
#include <netdb.h>
#include <unistd.h>

namespace casdisk {

Peer peer_of_unix_socket(int descriptor) {
  Peer peer;
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) {
    peer.uid = credentials.uid;
  }
  return peer;
}

std::string ip_address_text(const sockaddr_storage& address, socklen_t length) {
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return "";
  char host[NI_MAXHOST] = {};
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const int failed = ::getnameinfo(generic, length, host, sizeof(host), nullptr, 0, NI_NUMERICHOST);
  return failed == 0 ? host : "";
}

bool is_owner_or_root(const Peer& peer) {
  return peer.uid && (*peer.uid == 0 || *peer.uid == ::geteuid());
}

std::string peer_text(const Peer& peer) {
  if (peer.uid) return fmt::format("uid {}", *peer.uid);
  return peer.address.empty() ? "an unknown client" : peer.address;
}

}  // namespace casdisk
