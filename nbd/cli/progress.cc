#include "nbd/cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "cas/os/parallel.h"
#include "nbd/cli/format.h"

namespace casdisk {
namespace {

constexpr int64_t kWindowMs = 5000;
constexpr int64_t kSampleMs = 100;
constexpr int64_t kFirstDrawMs = 500;
constexpr auto kDrawEvery = std::chrono::milliseconds(100);
constexpr size_t kMaxBarColumns = 30;

int64_t now_ms() {
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string bar(double fraction, size_t columns) {
  auto filled = size_t(fraction * double(columns));
  return "[" + std::string(filled, '#') + std::string(columns - filled, '.') + "]";
}

}  // namespace

void RateMeter::add(uint64_t position_bytes, int64_t now_ms) {
  if (samples_.size() > 1 && now_ms - samples_[samples_.size() - 2].now_ms < kSampleMs) {
    samples_.back() = {position_bytes, now_ms};
  } else {
    samples_.push_back({position_bytes, now_ms});
  }
  while (samples_.size() > 2 && now_ms - samples_[1].now_ms >= kWindowMs) samples_.pop_front();
}

std::optional<double> RateMeter::bytes_per_second() const {
  if (samples_.size() < 2) return std::nullopt;
  int64_t elapsed_ms = samples_.back().now_ms - samples_.front().now_ms;
  if (elapsed_ms < kSampleMs) return std::nullopt;
  uint64_t from = samples_.front().position_bytes, to = samples_.back().position_bytes;
  return to < from ? 0 : double(to - from) * 1000 / double(elapsed_ms);
}

std::string progress_line(const ProgressState& state, size_t columns) {
  std::string line = state.label;
  double seconds = double(state.elapsed_ms) / 1000;
  if (!state.position_bytes) {
    line += "  " + human_duration(seconds);
    return line.substr(0, columns);
  }
  std::string numbers = human_bytes(*state.position_bytes);
  if (state.total_bytes) numbers += " of " + human_bytes(*state.total_bytes);
  if (state.bytes_per_second) {
    numbers += "  " + human_bytes(uint64_t(*state.bytes_per_second)) + "/s";
  }
  if (!state.total_bytes) {
    numbers += "  " + human_duration(seconds);
    return (line + "  " + numbers).substr(0, columns);
  }
  uint64_t done = std::min(*state.position_bytes, *state.total_bytes);
  double fraction = *state.total_bytes == 0 ? 1 : double(done) / double(*state.total_bytes);
  if (state.bytes_per_second && *state.bytes_per_second >= 1) {
    double left = double(*state.total_bytes - done) / *state.bytes_per_second;
    numbers += "  " + human_duration(double(int64_t(left + 0.999))) + " left";
  }
  // Rounded down: 100 % is what is done.
  numbers = fmt::format("{:3}%  {}", int(fraction * 100), numbers);
  size_t taken = line.size() + 2 + 2 + 1 + numbers.size();
  if (taken + 8 <= columns) {
    line += "  " + bar(fraction, std::min(kMaxBarColumns, columns - taken));
  }
  return (line + " " + numbers).substr(0, columns);
}

ProgressBar::ProgressBar(std::string label, std::optional<uint64_t> total_bytes, Visible visible)
    : label_(std::move(label)), total_bytes_(total_bytes), begin_ms_(now_ms()) {
  if (visible == Visible::kNo) return;
  // Without a thread there is no bar: the work matters more than the sight of it.
  if (auto drawer = start_thread([this] { draw_until_done(); })) drawer_ = std::move(*drawer);
}

ProgressBar::~ProgressBar() {
  if (!drawer_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    done_ = true;
  }
  done_changed_.notify_all();
  drawer_.join();
}

void ProgressBar::set(uint64_t position_bytes) {
  has_position_ = true;
  uint64_t before = position_bytes_;
  while (before < position_bytes &&
         !position_bytes_.compare_exchange_weak(before, position_bytes)) {
  }
}

double ProgressBar::elapsed_seconds() const { return double(now_ms() - begin_ms_) / 1000; }

void ProgressBar::draw_until_done() {
  RateMeter meter;
  bool drawn = false;
  std::unique_lock lock(mutex_);
  while (!done_changed_.wait_for(lock, kDrawEvery, [&] { return done_; })) {
    int64_t now = now_ms();
    ProgressState state{label_, total_bytes_, std::nullopt, std::nullopt, now - begin_ms_};
    if (has_position_) {
      state.position_bytes = position_bytes_;
      meter.add(*state.position_bytes, now);
      state.bytes_per_second = meter.bytes_per_second();
    }
    if (state.elapsed_ms < kFirstDrawMs) continue;
    std::fprintf(stderr, "\r%s\x1b[K", progress_line(state, terminal_columns() - 1).c_str());
    drawn = true;
  }
  if (drawn) std::fputs("\r\x1b[K", stderr);
}

}  // namespace casdisk
