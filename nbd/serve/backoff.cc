#include "nbd/serve/backoff.h"

#include <algorithm>

namespace casdisk {

Backoff::Milliseconds Backoff::next(const Life& life) {
  if (life.lived >= kLivedWell) next_ = Milliseconds(0);
  const Milliseconds wait = std::min(next_, life.answered ? kMostAfterAnswer : kMost);
  next_ = std::clamp(wait * 2, kFirst, kMost);
  return wait;
}

}  // namespace casdisk
