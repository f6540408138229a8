// Turns: threads of which one runs at a time, and chance says which one goes on.
//
// What they do is the same for the same seed, as long as they meet nowhere but where they pass the
// turn. Used by tests that play several processes on one simulated computer.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <random>
#include <vector>

namespace casdisk {

class Turns {
 public:
  // The turn changes once in about `one_in` times that it may.
  Turns(uint64_t seed, uint64_t one_in) : one_in_(one_in), dice_(seed) {}
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  // Each body on a thread of its own. Returns when all have ended.
  void run(const std::vector<std::function<void()>>& bodies);

  // For the thread whose turn it is. Returns when it is its turn (again).
  void maybe_pass();
  void pass();  // to another one, unless it is the last

  uint64_t pass_count() const { return pass_count_; }

  // While it lives the turn stays. `turns` may be null.
  class Hold {
   public:
    explicit Hold(Turns* turns) : turns_(turns) {
      if (turns_ != nullptr) turns_->hold_count_++;
    }
    ~Hold() {
      if (turns_ != nullptr) turns_->hold_count_--;
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    Turns* const turns_;
  };

 private:
  void wait_for_turn(size_t me);
  void give_to(size_t next);
  void end(size_t me);
  std::vector<size_t> others() const;

  // Fixed after construction.
  const uint64_t one_in_;

  // Of the thread whose turn it is.
  std::mt19937_64 dice_;
  uint64_t hold_count_ = 0;
  uint64_t pass_count_ = 0;
  std::vector<bool> has_ended_;

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t turn_ = 0;  // guarded by mutex_; written by the thread whose turn it is
};

}  // namespace casdisk
