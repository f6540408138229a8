// RequestGate: where the requests of a disk's clients can be made to wait for a moment.
//
// Safe to call from any thread. While nobody holds it, a request pays for one counter.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace casdisk {

class RequestGate {
 public:
  using Clock = std::chrono::steady_clock;

  // A request of a client begins: waits while the gate is held, counted in `waiting_count`.
  void enter(std::atomic<unsigned>& waiting_count) {
    begun_count_.fetch_add(1);
    if (!is_held_.load()) return;
    waiting_count++;
    wait();
    waiting_count--;
  }
  // How many have begun, those that wait included.
  uint64_t begun_count() const { return begun_count_; }

  // Ends by itself at the deadline, so that no guest waits for somebody who has died.
  void hold(Clock::time_point deadline) {
    std::lock_guard lock(mutex_);
    deadline_ = deadline;
    is_held_ = true;
  }
  void release() {
    {
      std::lock_guard lock(mutex_);
      is_held_ = false;
    }
    released_.notify_all();
  }

 private:
  void wait() {
    std::unique_lock lock(mutex_);
    while (is_held_ && Clock::now() < deadline_) {
      const auto until = deadline_;  // it may change while the lock is given up
      released_.wait_until(lock, until);
    }
    is_held_ = false;
  }

  std::atomic<uint64_t> begun_count_ = 0;
  std::atomic<bool> is_held_ = false;
  std::mutex mutex_;
  std::condition_variable released_;
  Clock::time_point deadline_;  // guarded by mutex_
};

}  // namespace casdisk
