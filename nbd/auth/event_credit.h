// EventCredit: how many events of a kind are written down: so many at once, and one more each
// kEventEveryMs; what is beyond that is counted. So nobody fills a disk with what he asks for.
//
// Time is the caller's, in ms, and may stand still or go back. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace casdisk {

inline constexpr uint64_t kMaxEventsAtOnce = 120;
inline constexpr uint64_t kEventEveryMs = 5000;

class EventCredit {
 public:
  // How many were left out before this one; none: leave it out too.
  std::optional<uint32_t> admit(uint64_t now_ms) {
    credit_ms_ = credit_ms(now_ms);
    last_ms_ = now_ms;
    if (credit_ms_ < kEventEveryMs) {
      if (left_out_count_ < std::numeric_limits<uint32_t>::max()) left_out_count_++;
      return std::nullopt;
    }
    credit_ms_ -= kEventEveryMs;
    return std::exchange(left_out_count_, 0);
  }
  // It is as a new one.
  bool is_unused(uint64_t now_ms) const {
    return credit_ms(now_ms) == kMostMs && left_out_count_ == 0;
  }

 private:
  static constexpr uint64_t kMostMs = kMaxEventsAtOnce * kEventEveryMs;

  uint64_t credit_ms(uint64_t now_ms) const {
    const uint64_t passed_ms = now_ms - std::min(now_ms, last_ms_);
    return std::min(kMostMs, credit_ms_ + std::min(kMostMs, passed_ms));
  }

  uint64_t credit_ms_ = kMostMs;  // an event costs kEventEveryMs
  uint64_t last_ms_ = 0;
  uint32_t left_out_count_ = 0;
};

}  // namespace casdisk
