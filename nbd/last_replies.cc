#include "nbd/last_replies.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "cas/os/retry.h"

namespace casdisk {
namespace {

using Clock = std::chrono::steady_clock;

// A descriptor of our own for that socket; -1 when it is not that one any more.
int duplicate_of(const SocketName& socket) {
  const int same = ::fcntl(socket.descriptor, F_DUPFD_CLOEXEC, 0);
  if (same < 0) return -1;
  struct stat status;
  if (::fstat(same, &status) == 0 && S_ISSOCK(status.st_mode) && status.st_ino == socket.inode) {
    return same;
  }
  ::close(same);
  return -1;
}

// A client that has gone, or does not read, gets no more: it was told so by the end.
void send_all(int descriptor, const char* from, size_t length) {
  while (length > 0) {
    const ssize_t count =
        retry_interrupted([&] { return ::send(descriptor, from, length, MSG_NOSIGNAL); });
    if (count <= 0) return;
    from += count;
    length -= size_t(count);
  }
}

}  // namespace

bool shut_for_reading(const SocketName& socket) {
  const int same = duplicate_of(socket);
  if (same < 0) return false;
  const bool shut = ::shutdown(same, SHUT_RD) == 0;
  ::close(same);
  return shut;
}

LastReplies::~LastReplies() { carry(std::chrono::milliseconds(0)); }

bool LastReplies::take(const SocketName& socket) {
  const int client = duplicate_of(socket);
  if (client < 0) return false;
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    ::close(client);
    return false;
  }
  const timeval at_most{1, 0};
  (void)::setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &at_most, sizeof(at_most));
  ::shutdown(pair[1], SHUT_WR);
  const bool taken = ::dup3(pair[0], socket.descriptor, O_CLOEXEC) >= 0;
  ::close(pair[0]);
  ::shutdown(client, SHUT_RD);  // wakes who reads from it
  connections_.push_back({client, pair[1]});
  return taken;
}

void LastReplies::carry(std::chrono::milliseconds at_most) {
  const auto end = Clock::now() + at_most;
  for (;;) {
    std::vector<pollfd> waits;
    for (const Connection& connection : connections_) {
      if (connection.replies >= 0) waits.push_back({connection.replies, POLLIN, 0});
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    if (waits.empty() || left.count() <= 0) break;
    if (retry_interrupted([&] { return ::poll(waits.data(), waits.size(), int(left.count())); }) <=
        0) {
      break;
    }
    for (Connection& connection : connections_) {
      auto wait = std::find_if(waits.begin(), waits.end(),
                               [&](const pollfd& ready) { return ready.fd == connection.replies; });
      if (wait != waits.end() && wait->revents != 0) carry_some(connection);
    }
  }
  for (const Connection& connection : connections_) {
    ::close(connection.client);
    if (connection.replies >= 0) ::close(connection.replies);
  }
  connections_.clear();
}

void LastReplies::carry_some(Connection& connection) {
  std::array<char, 65536> piece;
  const ssize_t count =
      retry_interrupted([&] { return ::recv(connection.replies, piece.data(), piece.size(), 0); });
  if (count > 0) return send_all(connection.client, piece.data(), size_t(count));
  ::close(connection.replies);
  connection.replies = -1;
}

}  // namespace casdisk
