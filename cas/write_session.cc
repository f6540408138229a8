#include "cas/write_session.h"

#include <fmt/format.h>

#include <algorithm>

namespace casdisk {

namespace {

// A generation lasts for a collection. Who finds another one each time has met something else.
constexpr int kMaxTries = 1000;
// Between two looks: the first, and what it doubles to.
constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{50};

std::string name_of(uint64_t generation) { return fmt::format("{:016x}", generation); }

}  // namespace

std::string SessionLocks::path_of(uint64_t generation) const {
  return fmt::format("{}/{}", files_.path(), name_of(generation));
}

// Read, lock, read again: with the same answer the lock was there before the generation ended.
Result<SessionLock> SessionLocks::take() {
  for (int i = 0; i < kMaxTries; i++) {
    TRY_ASSIGN(const auto before, locations_.generations());
    auto lock = machine_.share_lock(path_of(before.current), "the store");
    if (!lock.ok() && lock.error().fault != Fault::kBusy) return std::move(lock.error());
    TRY_ASSIGN(const auto after, locations_.generations());
    if (lock.ok() && before.current == after.current) {
      return SessionLock{std::move(lock).value(), before.current};
    }
  }
  return Error{
      Fault::kBusy, 0,
      fmt::format("{}: no session could be begun; who holds the files there?", files_.path())};
}

Result<void> SessionLocks::wait_for_older(const LocationTable::Generations& generations,
                                          const Wait& wait) {
  for (uint64_t generation = generations.oldest; generation < generations.current; generation++) {
    const std::string path = path_of(generation);
    for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
      auto ended = machine_.lock(path, "the store", "");
      if (ended.ok()) {
        // Whoever makes it anew has read a counter that is not true any more, and begins again.
        (void)files_.remove(name_of(generation)).ok();
        break;
      }
      if (ended.error().fault != Fault::kBusy) return std::move(ended.error());
      auto pids = machine_.lock_sharers(path);
      TRY(wait(pids.ok() ? pids.value() : std::vector<int64_t>()));
      machine_.sleep(pause);
    }
  }
  return locations_.sessions_ended(generations.current);
}

}  // namespace casdisk
