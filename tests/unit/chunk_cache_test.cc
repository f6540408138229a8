#include "cas/chunk_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"

namespace casdisk {
namespace {

Object object_of(uint64_t seed, size_t size = 4096) {
  const Bytes bytes = random_bytes(seed, size);
  return std::make_shared<const ObjectContent>(bytes.begin(), bytes.end());
}

ChunkId id_of(uint64_t seed) { return hash_of(random_bytes(seed, 4096)); }

Result<Object> must_not_load() { return Error{Fault::kInvalid, 0, "loaded"}; }

TEST(ChunkCache, LoadsOnce) {
  ChunkCache cache(1 << 20);
  EXPECT_EQ(cache.find(id_of(1)), nullptr);
  auto loaded = cache.get(id_of(1), [] { return Result<Object>(object_of(1)); });
  ASSERT_OK(loaded);
  auto again = cache.get(id_of(1), must_not_load);
  ASSERT_OK(again);
  EXPECT_EQ(again.value(), loaded.value());
  EXPECT_EQ(cache.find(id_of(1)), loaded.value());
  EXPECT_EQ(cache.counters().hit_count, 2u);
  EXPECT_EQ(cache.counters().miss_count, 2u);
}

TEST(ChunkCache, StaysWithinItsCapacity) {
  const uint64_t capacity = 20 * 4096;
  ChunkCache cache(capacity);
  for (uint64_t i = 0; i < 100; i++) {
    cache.insert(id_of(i), object_of(i));
    EXPECT_LE(cache.counters().used_bytes, capacity);
  }
  EXPECT_GT(cache.counters().used_bytes, capacity / 2);
  EXPECT_NE(cache.find(id_of(99)), nullptr);
  EXPECT_EQ(cache.find(id_of(0)), nullptr);
}

TEST(ChunkCache, KeepsWhatIsUsed) {
  ChunkCache cache(20 * 4096);
  cache.insert(id_of(0), object_of(0));
  for (uint64_t i = 1; i < 200; i++) {
    ASSERT_NE(cache.find(id_of(0)), nullptr) << i;
    cache.insert(id_of(i), object_of(i));
  }
}

TEST(ChunkCache, EvictedObjectsLiveWhileHeld) {
  ChunkCache cache(4096 * 2);
  cache.insert(id_of(0), object_of(0));
  Object held = cache.find(id_of(0));
  ASSERT_NE(held, nullptr);
  for (uint64_t i = 1; i < 10; i++) cache.insert(id_of(i), object_of(i));
  EXPECT_EQ(cache.find(id_of(0)), nullptr);
  EXPECT_EQ(*held, *object_of(0));
}

TEST(ChunkCache, LargeCapacitiesUseAllShards) {
  ChunkCache cache(uint64_t(256) << 20);
  for (uint64_t i = 0; i < 200; i++) cache.insert(id_of(i), object_of(i));
  for (uint64_t i = 0; i < 200; i++) EXPECT_NE(cache.find(id_of(i)), nullptr);
}

// Ids that all want the same places of the index, put and evicted over and over: each that is held
// is found, none that is not.
TEST(ChunkCache, IdsThatCollideAreToldApart) {
  constexpr uint64_t kCount = 3000, kHeld = 40;
  auto colliding = [](uint64_t number) {
    static constexpr uint8_t kPlaces[] = {0, 15, 250};  // what follows the last goes around the end
    ChunkId id;
    id.bytes[0] = std::byte(kPlaces[number % 3]);
    store_le(&id.bytes[8], number);
    return id;
  };
  ChunkCache cache(kHeld * (64 + 256));
  for (uint64_t i = 0; i < kCount; i++) {
    cache.insert(colliding(i), object_of(i, 64));
    uint64_t found_count = 0;
    for (uint64_t j = i < 2 * kHeld ? 0 : i - 2 * kHeld; j < i + 3; j++) {
      Object found = cache.find(colliding(j));
      if (found == nullptr) continue;
      EXPECT_LE(j, i);
      EXPECT_EQ(*found, *object_of(j, 64));
      found_count++;
    }
    ASSERT_EQ(found_count, std::min(i + 1, kHeld));
  }
  EXPECT_EQ(cache.counters().used_bytes, kHeld * (64 + 256));
}

TEST(ChunkCache, ErrorsAreNotRemembered) {
  ChunkCache cache(1 << 20);
  EXPECT_FAULT(cache.get(id_of(1), must_not_load), Fault::kInvalid);
  EXPECT_OK(cache.get(id_of(1), [] { return Result<Object>(object_of(1)); }));
}

// Eight threads want the same object: the first load is held up until the others wait for it.
void join_loads(ChunkCache& cache) {
  std::atomic<int> load_count = 0;
  std::atomic<int> started = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; i++) {
    threads.emplace_back([&] {
      started++;
      auto got = cache.get(id_of(1), [&]() -> Result<Object> {
        load_count++;
        while (started < 8) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return object_of(1);
      });
      ASSERT_OK(got);
      EXPECT_EQ(*got.value(), *object_of(1));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(load_count, 1);
}

TEST(ChunkCache, EqualLoadsAreDoneOnce) {
  ChunkCache cache(1 << 20);
  join_loads(cache);
}

TEST(ChunkCache, WithoutCapacityKeepsNothingButJoins) {
  ChunkCache cache(0);
  join_loads(cache);
  EXPECT_EQ(cache.find(id_of(1)), nullptr);
  EXPECT_EQ(cache.counters().used_bytes, 0u);
}

}  // namespace
}  // namespace casdisk
