#include "index/flush_group.h"

namespace casdisk {

Result<void> FlushGroup::run(const std::function<Result<void>()>& work) {
  std::unique_lock lock(mutex_);
  // A run under way may have begun before our caller's last write: the one after it will do.
  uint64_t wanted = started_ + 1;
  for (;;) {
    if (failure_) return *failure_;
    if (succeeded_ >= wanted) return {};
    if (!running_) break;
    done_.wait(lock);
  }
  running_ = true;
  uint64_t run_number = ++started_;
  lock.unlock();
  Result<void> result = work();
  lock.lock();
  running_ = false;
  if (result.ok()) succeeded_ = run_number;
  const bool is_final = !result.ok() && result.error().fault == Fault::kPoisoned;
  if (is_final) set_failure(result.error());
  done_.notify_all();
  return result;
}

void FlushGroup::fail(const Error& error) {
  std::lock_guard lock(mutex_);
  set_failure(error);
}

// The first one counts. REQUIRES: mutex_ is held.
void FlushGroup::set_failure(const Error& error) {
  if (!failure_) failure_ = error;
  has_failed_.store(true, std::memory_order_release);
}

std::optional<Error> FlushGroup::failure() const {
  if (!has_failed_.load(std::memory_order_acquire)) return std::nullopt;
  std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace casdisk
