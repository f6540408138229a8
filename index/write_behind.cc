#include "index/write_behind.h"

#include <algorithm>

#include "cas/os/parallel.h"

namespace casdisk {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBoundTime{10};
// Less than this tells more of latency than of rate.
constexpr uint64_t kMinSampleBytes = 512 * 1024;
// A sample counts for a quarter: one slow write-out in ten does not halve the bound.
constexpr uint64_t kSampleWeight = 4;

}  // namespace

WriteBehind::~WriteBehind() {
  {
    std::lock_guard lock(mutex_);
    CHECK(queue_.empty() && current_ == nullptr);
    stopping_ = true;
    wanted_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void WriteBehind::want(Backlog& backlog) {
  std::lock_guard lock(mutex_);
  if (!thread_.joinable()) {
    auto thread = start_thread([this] { work(); });
    if (!thread) {
      backlog.is_wanted_ = false;  // the next write tries again; until then nobody waits for it
      return;
    }
    thread_ = std::move(*thread);
  }
  queue_.push_back(&backlog);
  wanted_.notify_one();
}

void WriteBehind::forget(Backlog& backlog) {
  std::unique_lock lock(mutex_);
  std::erase(queue_, &backlog);
  done_.wait(lock, [&] { return current_ != &backlog; });
}

void WriteBehind::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wanted_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    current_ = queue_.front();
    queue_.pop_front();
    lock.unlock();
    // In this order: who writes from here on asks anew.
    current_->is_wanted_ = false;
    if (current_->is_due()) current_->write_out();
    lock.lock();
    current_ = nullptr;
    done_.notify_all();
  }
}

void WriteBehind::learn(uint64_t bytes, Clock::duration time) {
  if (bytes < kMinSampleBytes) return;
  const auto time_ns = std::max<uint64_t>(1, uint64_t(std::chrono::nanoseconds(time).count()));
  const auto bound_ns = uint64_t(std::chrono::nanoseconds(kBoundTime).count());
  const uint64_t sample = std::min(bytes * bound_ns / time_ns, kMaxBoundBytes);
  const uint64_t before = bound_bytes();
  const uint64_t after = before - before / kSampleWeight + sample / kSampleWeight;
  bound_bytes_.store(std::clamp(after, kMinBoundBytes, kMaxBoundBytes), std::memory_order_relaxed);
}

void WriteBehind::Backlog::wait_for_room() {
  if (has_room()) return;
  std::unique_lock lock(write_behind_.mutex_);
  if (!write_behind_.thread_.joinable()) return;
  write_behind_.done_.wait_for(
      lock, kMaxWait, [this] { return has_room() || let_through_ > 0 || has_failed_.load(); });
}

void WriteBehind::Backlog::wrote(uint64_t bytes) {
  written_bytes_ += bytes;
  if (is_due() && !has_failed_.load() && !is_wanted_.exchange(true)) write_behind_.want(*this);
}

void WriteBehind::Backlog::let_through(bool on) {
  std::lock_guard lock(write_behind_.mutex_);
  let_through_ += on ? 1 : unsigned(-1);
  write_behind_.done_.notify_all();
}

void WriteBehind::Backlog::settled(uint64_t mark) {
  uint64_t before = settled_bytes_.load();
  while (before < mark && !settled_bytes_.compare_exchange_weak(before, mark)) continue;
}

void WriteBehind::Backlog::write_out() {
  const uint64_t bytes = unwritten_bytes(), until = mark();
  const auto begin = Clock::now();
  auto written = file_.write_out();
  if (!written.ok()) {
    has_failed_ = true;
    failed_(std::move(written.error()));
    return;
  }
  settled(until);
  if (is_sample_.exchange(true)) write_behind_.learn(bytes, Clock::now() - begin);
}

}  // namespace casdisk
