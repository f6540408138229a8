#include "cas/raw_records.h"

#include <gtest/gtest.h>

#include "tests/support/sample_data.h"

namespace casdisk {
namespace {

constexpr uint64_t kCacheBytes = 64 * kChunkBytes;
constexpr uint64_t kWindow = 64 * 8;

RawRecord record_at(uint64_t offset) {
  return {.location = {.pack = 1, .offset = offset, .record_bytes = kRawChunkRecordBytes},
          .checksums = {}};
}

ChunkId id_of(uint64_t number) { return hash_of(random_bytes(number, 64)); }

// Whether so many scattered reads of the chunk make it one to load.
bool becomes_often(RawRecords& records, const ChunkId& id, int count) {
  for (int i = 0; i < count; i++) {
    if (records.touch(id, uint32_t(i % 2 == 0 ? 9 : 3), 1).often) return true;
  }
  return false;
}

TEST(RawRecords, KnowsWhatItKeeps) {
  RawRecords records(kCacheBytes);
  EXPECT_FALSE(records.touch(id_of(1), 0, 1).record);
  records.keep(id_of(1), record_at(100), 0, 1);
  const auto touched = records.touch(id_of(1), 5, 1);
  ASSERT_TRUE(touched.record);
  EXPECT_EQ(touched.record->location.offset, 100u);
  EXPECT_FALSE(records.touch(id_of(2), 5, 1).record);
  records.forget(id_of(1));
  EXPECT_FALSE(records.touch(id_of(1), 5, 1).record);
}

TEST(RawRecords, OftenOnceAndThenAnew) {
  RawRecords records(kCacheBytes);
  records.keep(id_of(1), record_at(0), 0, 1);
  EXPECT_FALSE(becomes_often(records, id_of(1), 10));
  EXPECT_TRUE(becomes_often(records, id_of(1), 1));
  EXPECT_FALSE(becomes_often(records, id_of(1), 11));
}

TEST(RawRecords, SequentialReadsCountMore) {
  RawRecords records(kCacheBytes);
  records.keep(id_of(1), record_at(0), 0, 2);
  EXPECT_FALSE(records.touch(id_of(1), 2, 2).often);
  EXPECT_FALSE(records.touch(id_of(1), 4, 2).often);
  EXPECT_TRUE(records.touch(id_of(1), 6, 2).often);
}

// The second read of a whole chunk makes it often, unless much else was read between; one pass over
// a chunk in large steps does not.
TEST(RawRecords, WholeChunksAreOftenTheSecondTime) {
  RawRecords records(kCacheBytes);
  records.keep(id_of(1), record_at(0), 0, 16);
  EXPECT_TRUE(records.touch(id_of(1), 0, 16).often);
  for (uint64_t i = 0; i < 64 * 8; i++) records.touch(id_of(2), 0, 16);
  EXPECT_FALSE(records.touch(id_of(1), 0, 16).often);
  records.keep(id_of(3), record_at(0), 0, 4);
  for (uint32_t first : {4u, 8u, 12u}) EXPECT_FALSE(records.touch(id_of(3), first, 4).often);
  records.keep(id_of(4), record_at(0), 0, 8);
  EXPECT_FALSE(records.touch(id_of(4), 8, 8).often);
  EXPECT_TRUE(records.touch(id_of(4), 0, 8).often);
}

// As many chunks as the cache holds are each asked for often; many times as many are not.
TEST(RawRecords, AWorkingSetThatFitsIsLoadedAndALargeOneIsNot) {
  for (const auto& [chunks, expected] : {std::pair{48, true}, std::pair{64 * 6, false}}) {
    RawRecords records(kCacheBytes);
    uint64_t often_count = 0;
    for (int i = 0; i < chunks; i++) records.keep(id_of(uint64_t(i)), record_at(0), 0, 1);
    for (uint64_t i = 0; i < 20 * kWindow; i++) {
      const auto chunk = uint64_t(i * 7919 % uint64_t(chunks));
      often_count += records.touch(id_of(chunk), uint32_t(i % 2 == 0 ? 9 : 3), 1).often;
    }
    EXPECT_EQ(often_count >= 48, expected) << chunks << " " << often_count;
  }
}

TEST(RawRecords, WhatIsTouchedLeastGivesWay) {
  RawRecords records(kChunkBytes);  // two sets of four
  records.keep(id_of(0), record_at(7), 0, 1);
  EXPECT_FALSE(becomes_often(records, id_of(0), 6));
  for (uint64_t i = 1; i < 100; i++) records.keep(id_of(i), record_at(0), 0, 1);
  EXPECT_TRUE(records.touch(id_of(0), 0, 1).record);
}

}  // namespace
}  // namespace casdisk
