// Progress of long work, as a line on a terminal: percent, bytes, rate, time left.
//
// RateMeter and progress_line() are arithmetic with the clock passed in. ProgressBar draws from a
// thread of its own, ten times a second, so that no phase is silent, whatever it waits for; workers
// only store a number.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace casdisk {

// Bytes a second over the last few seconds.
class RateMeter {
 public:
  void add(uint64_t position_bytes, int64_t now_ms);
  // Nothing before there are two samples some time apart.
  std::optional<double> bytes_per_second() const;

 private:
  struct Sample {
    uint64_t position_bytes;
    int64_t now_ms;
  };
  std::deque<Sample> samples_;  // at most one for each kSampleMs within kWindowMs
};

struct ProgressState {
  std::string label;                       // "import debian"
  std::optional<uint64_t> total_bytes;     // unknown for streams
  std::optional<uint64_t> position_bytes;  // unset: work that has no measure
  std::optional<double> bytes_per_second;
  int64_t elapsed_ms = 0;
};

// At most `columns` wide; the bar itself takes what is left.
std::string progress_line(const ProgressState& state, size_t columns);

class ProgressBar {
 public:
  enum class Visible { kNo, kYes };

  // Draws nothing for the first half second, and never with kNo.
  ProgressBar(std::string label, std::optional<uint64_t> total_bytes, Visible visible);
  // Takes the line off the screen.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // The farthest position counts. Safe from any thread.
  void set(uint64_t position_bytes);

  double elapsed_seconds() const;

 private:
  void draw_until_done();

  // Fixed after construction.
  const std::string label_;
  const std::optional<uint64_t> total_bytes_;
  const int64_t begin_ms_;

  std::atomic<uint64_t> position_bytes_ = 0;
  std::atomic<bool> has_position_ = false;

  std::mutex mutex_;
  std::condition_variable done_changed_;
  bool done_ = false;  // guarded by mutex_
  std::thread drawer_;
};

}  // namespace casdisk
