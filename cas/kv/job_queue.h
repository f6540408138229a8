// JobQueue: one thread that runs jobs in their order, for a library that wants threads of its own.
//
// It belongs to whom it was made by, so that nothing of it is left behind for a fork to lose.
// add() is safe to call from any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "cas/os/result.h"

namespace casdisk {

class JobQueue {
 public:
  JobQueue() = default;
  // Runs what is in it, then ends. REQUIRES: nobody adds any more, in the process of start().
  ~JobQueue();
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  // Once, before the first add(). kIo when the system has no more threads.
  Result<void> start();

  void add(std::function<void()> job);
  size_t waiting_count() const;

 private:
  void run();

  std::thread thread_;  // fixed after start()

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::deque<std::function<void()>> jobs_;
  bool is_ending_ = false;
};

}  // namespace casdisk
