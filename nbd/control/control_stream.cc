#include "nbd/control/control_stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "cas/os/retry.h"
#include "nbd/control/control_protocol.h"

namespace casdisk {
namespace {

using Clock = std::chrono::steady_clock;

// True when it is ready, or at its end; false after the time.
bool wait_for(int descriptor, short events, std::optional<Clock::time_point> until) {
  for (;;) {
    int timeout_ms = -1;
    if (until) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - Clock::now());
      timeout_ms = int(std::clamp<int64_t>(left.count(), 0, 1 << 30));
    }
    pollfd wait{descriptor, events, 0};
    if (retry_interrupted([&] { return ::poll(&wait, 1, timeout_ms); }) != 0) return true;
    if (until && Clock::now() >= *until) return false;
  }
}

}  // namespace

ControlStream::~ControlStream() { ::close(descriptor_); }

Result<std::optional<std::string>> ControlStream::read_line(std::optional<Milliseconds> at_most) {
  std::optional<Clock::time_point> until;
  if (at_most) until = Clock::now() + *at_most;
  std::array<char, 4096> piece;
  size_t searched_bytes = 0;
  for (;;) {
    const size_t end = received_.find('\n', searched_bytes);
    if (end != received_.npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return std::optional(std::move(line));
    }
    searched_bytes = received_.size();
    const size_t room = kMaxControlLineBytes - received_.size();
    if (room == 0) {
      return Error{Fault::kInvalid, 0,
                   fmt::format("a line has at most {} bytes", kMaxControlLineBytes)};
    }
    if (!wait_for(descriptor_, POLLIN, until)) return os_error(ETIMEDOUT, "the control socket");
    const ssize_t count = retry_interrupted(
        [&] { return ::recv(descriptor_, piece.data(), std::min(room, piece.size()), 0); });
    if (count == 0 || (count < 0 && errno == ECONNRESET)) return std::optional<std::string>();
    if (count < 0 && errno == EAGAIN) continue;
    if (count < 0) return os_error(errno, "the control socket");
    received_.append(piece.data(), size_t(count));
  }
}

Result<void> ControlStream::send_line(std::string line) {
  line += '\n';
  if (line.size() > kMaxControlLineBytes) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("a line has at most {} bytes", kMaxControlLineBytes)};
  }
  std::lock_guard lock(send_mutex_);
  const auto until = Clock::now() + kSendTime;
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t count = retry_interrupted(
        [&] { return ::send(descriptor_, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT); });
    if (count >= 0) {
      rest.remove_prefix(size_t(count));
    } else if (errno != EAGAIN) {
      return os_error(errno, "the control socket");
    } else if (!wait_for(descriptor_, POLLOUT, until)) {
      return os_error(ETIMEDOUT, "the control socket");
    }
  }
  return {};
}

bool ControlStream::is_closed() const {
  pollfd look{descriptor_, POLLRDHUP, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void ControlStream::shut_down() const { ::shutdown(descriptor_, SHUT_RDWR); }

}  // namespace casdisk
