#include "cas/kv/job_queue.h"

#include <cerrno>
#include <utility>

#include "cas/os/parallel.h"

namespace casdisk {

JobQueue::~JobQueue() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

Result<void> JobQueue::start() {
  auto thread = start_thread([this] { run(); });
  if (!thread) return os_error(EAGAIN, "a thread for work in the background");
  thread_ = std::move(*thread);
  return {};
}

void JobQueue::add(std::function<void()> job) {
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

size_t JobQueue::waiting_count() const {
  std::lock_guard lock(mutex_);
  return jobs_.size();
}

void JobQueue::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !jobs_.empty() || is_ending_; });
    if (jobs_.empty()) return;
    const auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

}  // namespace casdisk
