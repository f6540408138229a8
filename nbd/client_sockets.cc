#include "nbd/client_sockets.h"

#include <dirent.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>
#include <vector>

namespace casdisk {
namespace {

struct OpenSocket {
  int descriptor = -1;
  ino_t inode = 0;
  bool listens = false;
  std::string address;  // our side's, as far as all that were accepted from one listener share it
};

int option_of(int descriptor, int option) {
  int value = -1;
  socklen_t length = sizeof(value);
  return ::getsockopt(descriptor, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

// A unix socket's path or a TCP port; empty for anything else.
std::string local_address(int descriptor) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "";
  if (address.ss_family == AF_INET || address.ss_family == AF_INET6) {
    // The port stands at the same place in both families.
    return "port " + std::to_string(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  }
  const auto* path = reinterpret_cast<const char*>(&address) + offsetof(sockaddr_un, sun_path);
  if (address.ss_family != AF_UNIX || length <= offsetof(sockaddr_un, sun_path)) return "";
  const std::string text(path, length - offsetof(sockaddr_un, sun_path));
  // Only the control socket is bound through /proc (control_socket.h).
  return text.starts_with("/proc/self/fd/") ? "" : "path " + text;
}

// The stream sockets of this process that have an address.
std::vector<OpenSocket> open_sockets() {
  std::vector<OpenSocket> sockets;
  DIR* listing = ::opendir("/proc/self/fd");
  if (listing == nullptr) return sockets;
  while (const dirent* entry = ::readdir(listing)) {
    const std::string_view name = entry->d_name;
    OpenSocket found;
    struct stat status;
    auto parsed = std::from_chars(name.data(), name.data() + name.size(), found.descriptor);
    if (parsed.ec != std::errc() || ::fstat(found.descriptor, &status) != 0) continue;
    if (!S_ISSOCK(status.st_mode) || option_of(found.descriptor, SO_TYPE) != SOCK_STREAM) continue;
    found.inode = status.st_ino;
    found.listens = option_of(found.descriptor, SO_ACCEPTCONN) == 1;
    found.address = local_address(found.descriptor);
    if (!found.address.empty()) sockets.push_back(std::move(found));
  }
  ::closedir(listing);
  return sockets;
}

// Ours to hang up on: what was accepted from a socket that listens.
bool is_accepted(const OpenSocket& socket, const std::vector<OpenSocket>& all) {
  if (socket.listens) return false;
  for (const OpenSocket& other : all) {
    if (other.listens && other.address == socket.address) return true;
  }
  return false;
}

bool is_peer(int descriptor, const ClientPeer& peer) {
  if (peer.pid >= 0) {
    ucred credentials{};
    socklen_t length = sizeof(credentials);
    return ::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 &&
           credentials.pid == peer.pid;
  }
  if (peer.address_bytes == 0) return true;
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  return ::getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
         length == peer.address_bytes && std::memcmp(&address, &peer.address, length) == 0;
}

}  // namespace

void ClientSockets::add(const void* client, const std::string& export_name, const ClientPeer& peer,
                        const std::atomic<unsigned>& waiting) {
  std::lock_guard lock(mutex_);
  std::set<Socket> taken;
  for (const auto& [other, known] : clients_) {
    if (known.candidates.size() == 1) taken.insert(*known.candidates.begin());
  }
  Client added{++last_number_, export_name, &waiting, {}};
  const std::vector<OpenSocket> sockets = open_sockets();
  for (const OpenSocket& socket : sockets) {
    if (taken.count(socket.inode) != 0 || !is_accepted(socket, sockets)) continue;
    if (is_peer(socket.descriptor, peer)) added.candidates.insert(socket.inode);
  }
  if (added.candidates.size() == 1) {
    for (auto& [other, known] : clients_) known.candidates.erase(*added.candidates.begin());
  }
  clients_[client] = std::move(added);
}

void ClientSockets::remove(const void* client) {
  std::lock_guard lock(mutex_);
  clients_.erase(client);
}

// Whoever may have the socket is a client of that export, and somebody may. Busy only when all of
// them are: then so is the one who has it.
ClientSockets::Owner ClientSockets::owner_of(Socket socket, const std::string& export_name) const {
  bool found = false, all_busy = true;
  for (const auto& [client, known] : clients_) {
    if (known.candidates.count(socket) == 0) continue;
    if (known.export_name != export_name) return Owner::kNone;
    found = true;
    all_busy = all_busy && *known.waiting > 0;
  }
  if (!found) return Owner::kNone;
  return all_busy ? Owner::kBusy : Owner::kIdle;
}

std::vector<uint64_t> ClientSockets::hang_up(const std::string& export_name, LastReplies& replies) {
  std::lock_guard lock(mutex_);
  for (const OpenSocket& socket : open_sockets()) {
    if (socket.listens) continue;
    const SocketName name{socket.descriptor, socket.inode};
    switch (owner_of(socket.inode, export_name)) {
      case Owner::kBusy:
        replies.take(name);
        break;
      case Owner::kIdle:
        shut_for_reading(name);
        break;
      case Owner::kNone:
        break;
    }
  }
  std::vector<uint64_t> clients;
  for (const auto& [client, known] : clients_) {
    if (known.export_name == export_name) clients.push_back(known.number);
  }
  return clients;
}

size_t ClientSockets::count(const std::vector<uint64_t>& clients) const {
  std::lock_guard lock(mutex_);
  return size_t(std::count_if(clients_.begin(), clients_.end(), [&](const auto& known) {
    return std::find(clients.begin(), clients.end(), known.second.number) != clients.end();
  }));
}

}  // namespace casdisk
