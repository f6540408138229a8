// BlockLocks: keeps a torn write (read, merge, write of a part of a block) apart from every other
// write of its block, and lets whole-block writes run side by side.
//
// One reader-writer lock for each of kStripes classes of chunks, always taken in ascending order.
// Safe to call from any thread; a thread holds one Guard at a time.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <shared_mutex>

namespace casdisk {

class BlockLocks {
 public:
  static constexpr uint32_t kStripes = 256;

  class Guard {
   public:
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard();

   private:
    friend class BlockLocks;
    Guard(BlockLocks& locks, uint64_t first, uint64_t count, std::optional<uint64_t> torn_first,
          std::optional<uint64_t> torn_last);
    template <typename Visit>
    void for_each(Visit visit) const;

    BlockLocks& locks_;
    uint32_t first_stripe_;
    uint32_t stripe_count_;
    uint32_t torn_first_stripe_;
    uint32_t torn_last_stripe_;
  };

  // Holds the chunks [first, first + count): alone the torn ones, if any, shared the others.
  Guard lock(uint64_t first, uint64_t count, std::optional<uint64_t> torn_first,
             std::optional<uint64_t> torn_last) {
    return Guard(*this, first, count, torn_first, torn_last);
  }

 private:
  std::array<std::shared_mutex, kStripes> stripes_;
};

}  // namespace casdisk
