#include "tests/support/turns.h"

#include <thread>

namespace casdisk {

void Turns::run(const std::vector<std::function<void()>>& bodies) {
  has_ended_.assign(bodies.size(), false);
  turn_ = dice_() % bodies.size();
  std::vector<std::thread> threads;
  for (size_t i = 0; i < bodies.size(); i++) {
    threads.emplace_back([this, i, &body = bodies[i]] {
      wait_for_turn(i);
      body();
      end(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void Turns::maybe_pass() {
  if (hold_count_ == 0 && dice_() % one_in_ == 0) pass();
}

void Turns::pass() {
  const std::vector<size_t> waiting = others();
  if (hold_count_ > 0 || waiting.empty()) return;
  const size_t me = turn_;
  pass_count_++;
  give_to(waiting[dice_() % waiting.size()]);
  wait_for_turn(me);
}

void Turns::end(size_t me) {
  has_ended_[me] = true;
  const std::vector<size_t> waiting = others();
  if (!waiting.empty()) give_to(waiting[dice_() % waiting.size()]);
}

// Those that have not ended, without the one whose turn it is.
std::vector<size_t> Turns::others() const {
  std::vector<size_t> found;
  for (size_t i = 0; i < has_ended_.size(); i++) {
    if (i != turn_ && !has_ended_[i]) found.push_back(i);
  }
  return found;
}

void Turns::wait_for_turn(size_t me) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return turn_ == me; });
}

void Turns::give_to(size_t next) {
  {
    std::lock_guard lock(mutex_);
    turn_ = next;
  }
  changed_.notify_all();
}

}  // namespace casdisk
