// RequestCounters: how many requests of each kind a disk had, how many bytes, and the longest wait.
//
// All connections of a disk share one; safe to call from any thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace casdisk {

enum class RequestKind { kRead, kWrite, kZero, kTrim, kFlush, kExtents, kCache };
inline constexpr std::array<const char*, 7> kRequestKindNames = {"read",  "write",   "zero", "trim",
                                                                 "flush", "extents", "cache"};

class RequestCounters {
 public:
  using Clock = std::chrono::steady_clock;

  enum class Outcome { kDone, kFailed };
  void add(RequestKind kind, uint64_t bytes, Clock::duration took, Outcome outcome) {
    Counter& counter = counters_[size_t(kind)];
    counter.count.fetch_add(1, std::memory_order_relaxed);
    counter.bytes.fetch_add(bytes, std::memory_order_relaxed);
    if (outcome == Outcome::kFailed) counter.error_count.fetch_add(1, std::memory_order_relaxed);
    const auto took_us =
        uint64_t(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    uint64_t longest_us = counter.longest_us.load(std::memory_order_relaxed);
    while (longest_us < took_us && !counter.longest_us.compare_exchange_weak(longest_us, took_us)) {
    }
  }

  struct Counts {
    uint64_t count = 0;
    uint64_t bytes = 0;  // asked for, failed requests included
    uint64_t error_count = 0;
    uint64_t longest_us = 0;
  };
  Counts counts(RequestKind kind) const {
    const Counter& counter = counters_[size_t(kind)];
    return {counter.count, counter.bytes, counter.error_count, counter.longest_us};
  }

 private:
  // One cache line for each kind: readers and writers do not meet.
  struct alignas(64) Counter {
    std::atomic<uint64_t> count = 0;
    std::atomic<uint64_t> bytes = 0;
    std::atomic<uint64_t> error_count = 0;
    std::atomic<uint64_t> longest_us = 0;
  };
  std::array<Counter, kRequestKindNames.size()> counters_;
};

}  // namespace casdisk
