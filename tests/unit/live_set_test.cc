#include "cas/live_set.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"

namespace casdisk {
namespace {

ChunkId id_of(uint64_t number) { return hash_of(as_bytes(std::to_string(number))); }

TEST(LiveSet, HasWhatWasInsertedHoweverItGrows) {
  auto made = LiveSet::with_room_for(10, uint64_t(1) << 20);
  ASSERT_OK(made);
  LiveSet set = std::move(made).value();
  constexpr uint64_t kCount = 20'000;
  for (uint64_t i = 0; i < kCount; i++) ASSERT_OK(set.insert(id_of(i)));
  for (uint64_t i = 0; i < kCount; i++) ASSERT_OK(set.insert(id_of(i)));
  EXPECT_EQ(set.count(), kCount);
  for (uint64_t i = 0; i < kCount; i++) EXPECT_TRUE(set.contains(id_of(i)));
  for (uint64_t i = kCount; i < 2 * kCount; i++) EXPECT_FALSE(set.contains(id_of(i)));
}

TEST(LiveSet, AnIdOfZerosIsOneLikeAnother) {
  LiveSet set = LiveSet::with_room_for(10, uint64_t(1) << 20).value();
  EXPECT_FALSE(set.contains(ChunkId{}));
  ASSERT_OK(set.insert(ChunkId{}));
  EXPECT_TRUE(set.contains(ChunkId{}));
}

TEST(LiveSet, TakesNoMoreMemoryThanItMay) {
  EXPECT_FAULT(LiveSet::with_room_for(uint64_t(1) << 40, uint64_t(1) << 30), Fault::kInvalid);
  LiveSet set = LiveSet::with_room_for(0, 1024 * 8).value();
  uint64_t count = 0;
  while (set.insert(id_of(count)).ok()) count++;
  EXPECT_EQ(count, 768u);
  EXPECT_EQ(set.count(), count);
  for (uint64_t i = 0; i < count; i++) EXPECT_TRUE(set.contains(id_of(i)));
}

}  // namespace
}  // namespace casdisk
