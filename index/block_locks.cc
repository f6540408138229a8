#include "index/block_locks.h"

#include <algorithm>

namespace casdisk {

BlockLocks::Guard::Guard(BlockLocks& locks, uint64_t first, uint64_t count,
                         std::optional<uint64_t> torn_first, std::optional<uint64_t> torn_last)
    : locks_(locks),
      first_stripe_(uint32_t(first % kStripes)),
      stripe_count_(uint32_t(std::min<uint64_t>(count, kStripes))),
      torn_first_stripe_(torn_first ? uint32_t(*torn_first % kStripes) : kStripes),
      torn_last_stripe_(torn_last ? uint32_t(*torn_last % kStripes) : kStripes) {
  for_each([&](uint32_t stripe, bool alone) {
    alone ? locks_.stripes_[stripe].lock() : locks_.stripes_[stripe].lock_shared();
  });
}

BlockLocks::Guard::~Guard() {
  for_each([&](uint32_t stripe, bool alone) {
    alone ? locks_.stripes_[stripe].unlock() : locks_.stripes_[stripe].unlock_shared();
  });
}

// The stripes are consecutive modulo kStripes: what wrapped around comes first.
template <typename Visit>
void BlockLocks::Guard::for_each(Visit visit) const {
  auto visit_stripe = [&](uint32_t stripe) {
    visit(stripe, stripe == torn_first_stripe_ || stripe == torn_last_stripe_);
  };
  uint32_t end = first_stripe_ + stripe_count_;
  for (uint32_t stripe = 0; stripe + kStripes < end; stripe++) visit_stripe(stripe);
  for (uint32_t stripe = first_stripe_; stripe < std::min(end, kStripes); stripe++) {
    visit_stripe(stripe);
  }
}

}  // namespace casdisk
