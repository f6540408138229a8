// ConnectionPool: the connections to a server, as many at once as it has places.
//
// Who takes one has it alone, and gives it back. Safe to call from any thread.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "cas/os/result.h"

namespace casdisk {

template <typename Connection>
class ConnectionPool {
 public:
  explicit ConnectionPool(size_t place_count) : place_count_(place_count) {}

  // Waits for a place, no longer than `timeout`: kUnavailable, with the server's name. An idle
  // connection that is_good, or null: then the taker may make one. He calls give_back() either way.
  template <typename IsGood>
  Result<std::unique_ptr<Connection>> take(std::string_view server,
                                           std::chrono::milliseconds timeout,
                                           const IsGood& is_good) {
    std::unique_lock lock(mutex_);
    if (!freed_.wait_for(lock, timeout, [&] { return taken_count_ < place_count_; })) {
      return Error{Fault::kUnavailable, 0,
                   fmt::format("{}: all {} connections were busy for {} ms", server, place_count_,
                               timeout.count())};
    }
    taken_count_++;
    while (!idle_.empty()) {
      std::unique_ptr<Connection> connection = std::move(idle_.back());
      idle_.pop_back();
      if (is_good(*connection)) return connection;
    }
    return std::unique_ptr<Connection>();
  }

  // Null: it is of no use any more, or was never made.
  void give_back(std::unique_ptr<Connection> connection) {
    {
      std::lock_guard lock(mutex_);
      taken_count_--;
      if (connection) idle_.push_back(std::move(connection));
    }
    freed_.notify_one();
  }

 private:
  // Fixed after construction.
  const size_t place_count_;

  std::mutex mutex_;
  std::condition_variable freed_;
  // Guarded by mutex_.
  std::vector<std::unique_ptr<Connection>> idle_;
  size_t taken_count_ = 0;
};

}  // namespace casdisk
