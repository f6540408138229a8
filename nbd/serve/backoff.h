// Backoff: how long to wait before a server that died is started again.
//
// One that answered clients and died is wanted back at once: it may have been a rude client, and
// within a second all others must have their disks again. One that dies before it answers has a
// reason that will not go away at once. Plain arithmetic; the caller has the clock.
#pragma once

#include <chrono>

namespace casdisk {

class Backoff {
 public:
  using Milliseconds = std::chrono::milliseconds;

  static constexpr Milliseconds kFirst{100};
  static constexpr Milliseconds kMostAfterAnswer{250};
  static constexpr Milliseconds kMost{5000};
  static constexpr Milliseconds kLivedWell{10000};  // forgives all that was before

  struct Life {
    bool answered = false;
    Milliseconds lived{0};
  };

  // The wait after a life that ended: 0, 100 ms, then twice as long each time up to the most.
  Milliseconds next(const Life& life);

 private:
  Milliseconds next_{0};
};

}  // namespace casdisk
