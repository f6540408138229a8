// The pause of those who change the same thing at the same time, before they try once more: longer
// with each try, and of a random length, so that they part.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

namespace casdisk {

inline constexpr unsigned kMaxKvPauseMicroseconds = 5000;

// `tried`: how many tries there were; 0: no pause.
inline void pause_before_kv_try(int tried) {
  if (tried == 0) return;
  thread_local std::minstd_rand dice(std::random_device{}());
  const unsigned most = std::min(kMaxKvPauseMicroseconds, 20u << std::min(tried, 8));
  std::this_thread::sleep_for(std::chrono::microseconds(dice() % most));
}

}  // namespace casdisk
