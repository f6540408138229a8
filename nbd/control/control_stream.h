// ControlStream: lines over a connected socket, each of bounded length, sent and received with
// deadlines.
//
// One thread reads; send_line() and is_closed() are safe from any thread.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

class ControlStream {
 public:
  using Milliseconds = std::chrono::milliseconds;

  // What the other side may take to make room for a line. One line always fits into a socket's
  // buffer: only who sends requests and reads no replies ever gets here.
  static constexpr Milliseconds kSendTime{1000};

  // Takes over the descriptor.
  explicit ControlStream(int descriptor) : descriptor_(descriptor) {}
  ~ControlStream();
  ControlStream(const ControlStream&) = delete;
  ControlStream& operator=(const ControlStream&) = delete;

  // The next line, without its newline; nothing when the other side has closed the connection, as
  // it may in the middle of a line. kInvalid: the line is too long, and what follows is lost. kIo
  // with ETIMEDOUT: it did not come in time; no time waits forever.
  Result<std::optional<std::string>> read_line(std::optional<Milliseconds> at_most);

  // Adds the newline. kInvalid when it is too long; nothing is sent then.
  Result<void> send_line(std::string line);

  // The other side has gone.
  bool is_closed() const;
  // Ends a read_line() that waits, and all after it.
  void shut_down() const;

 private:
  // Fixed after construction.
  const int descriptor_;

  std::string received_;  // at most kMaxControlLineBytes
  std::mutex send_mutex_;
};

}  // namespace casdisk
