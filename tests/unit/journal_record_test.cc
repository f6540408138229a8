#include "index/journal_record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "cas/crc32c.h"
#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"

namespace casdisk {
namespace {

const JournalHeader kHeader{0x1122334455667788, 3, 1000};

TEST(BlockState, MasksAndWordsAgreeBlockByBlock) {
  std::mt19937 random(1);
  for (int round = 0; round < 1000; round++) {
    ChunkWord word = kAllClean;
    BlockState states[kBlocksPerChunk] = {};
    for (int change = 0; change < 8; change++) {
      uint32_t first = random() % kBlocksPerChunk;
      uint32_t count = 1 + random() % (kBlocksPerChunk - first);
      auto state = BlockState(random() % 3);
      word = with_state(word, blocks_mask(first, count), state);
      for (uint32_t i = first; i < first + count; i++) states[i] = state;
    }
    ASSERT_TRUE(is_valid(word));
    for (uint32_t i = 0; i < kBlocksPerChunk; i++) {
      ASSERT_EQ((data_blocks(word) >> i) & 1, states[i] == BlockState::kData);
      ASSERT_EQ((zero_blocks(word) >> i) & 1, states[i] == BlockState::kZero);
      ASSERT_EQ((clean_blocks(word) >> i) & 1, states[i] == BlockState::kClean);
    }
  }
  EXPECT_EQ(with_state(0, kAllBlocks, BlockState::kData), kAllData);
  EXPECT_EQ(with_state(0, kAllBlocks, BlockState::kZero), kAllZero);
}

TEST(JournalHeader, ComesBackAndIsChecked) {
  Bytes bytes = encode_journal_header(kHeader);
  auto decoded = decode_journal_header(bytes);
  ASSERT_OK(decoded);
  EXPECT_EQ(decoded.value(), kHeader);
  for (size_t bit = 0; bit < 36 * 8; bit++) {
    Bytes bad = bytes;
    bad[bit / 8] ^= std::byte(1 << (bit % 8));
    EXPECT_FAULT(decode_journal_header(bad), Fault::kDamaged) << bit;
  }
  EXPECT_FAULT(decode_journal_header(std::span(bytes).first(100)), Fault::kDamaged);
}

TEST(JournalRecord, ComesBackAtItsOwnPlaceOnly) {
  std::vector<WordRun> runs = {{0, 1, kAllData}, {7, 900, kAllZero}, {999, 1, 0x6}};
  const Bytes block = random_bytes(1, kBlockBytes), other_block = random_bytes(2, kBlockBytes);
  std::vector<RedoBlock> redo = {{3, block}, {15'999, other_block}};
  Bytes bytes = encode_journal_record(kHeader, 4096, {.runs = runs, .redo = redo});
  auto record = decode_journal_record(kHeader, 4096, bytes);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->runs, runs);
  EXPECT_EQ(record->bytes, bytes.size());
  EXPECT_FALSE(record->overlay_synced);
  ASSERT_EQ(record->redo.size(), 2u);
  EXPECT_EQ(record->redo[0].block, 3u);
  EXPECT_TRUE(std::ranges::equal(record->redo[0].bytes, block));
  EXPECT_EQ(record->redo[1].block, 15'999u);
  EXPECT_TRUE(std::ranges::equal(record->redo[1].bytes, other_block));

  EXPECT_FALSE(decode_journal_record(kHeader, 8192, bytes));
  JournalHeader other = kHeader;
  other.log_id++;
  EXPECT_FALSE(decode_journal_record(other, 4096, bytes));
  other = kHeader;
  other.generation++;
  EXPECT_FALSE(decode_journal_record(other, 4096, bytes));
  other = kHeader;
  other.chunk_count = 999;  // a run would reach beyond the disk
  EXPECT_FALSE(decode_journal_record(other, 4096, bytes));
}

TEST(JournalRecord, NamesNoBlockBeyondTheDisk) {
  const Bytes block(kBlockBytes);
  const std::vector<RedoBlock> redo = {{15'999, block}};
  const Bytes bytes = encode_journal_record(kHeader, 4096, {.redo = redo});
  EXPECT_TRUE(decode_journal_record(kHeader, 4096, bytes));
  JournalHeader smaller = kHeader;
  smaller.chunk_count = 999;
  EXPECT_FALSE(decode_journal_record(smaller, 4096, bytes));
}

// Nothing that an encoder would not write: with checksums that fit.
TEST(JournalRecord, FlagsAndCountsAreChecked) {
  Bytes synced = encode_journal_record(kHeader, 4096, {.overlay_synced = true});
  auto record = decode_journal_record(kHeader, 4096, synced);
  ASSERT_TRUE(record);
  EXPECT_TRUE(record->overlay_synced);
  EXPECT_EQ(record->bytes, kJournalRecordHeaderBytes);

  auto sealed_with = [&](Bytes bytes, size_t at, uint16_t value) {
    store_le(&bytes[at], value);
    store_le(&bytes[4], uint32_t(0));
    store_le(&bytes[4], crc32c(bytes));
    return bytes;
  };
  EXPECT_TRUE(decode_journal_record(kHeader, 4096, sealed_with(synced, 38, 1)));
  EXPECT_FALSE(decode_journal_record(kHeader, 4096, sealed_with(synced, 38, 0)));  // says nothing
  EXPECT_FALSE(decode_journal_record(kHeader, 4096, sealed_with(synced, 38, 2)));
  EXPECT_FALSE(decode_journal_record(kHeader, 4096, sealed_with(synced, 38, 3)));
  EXPECT_FALSE(decode_journal_record(kHeader, 4096, sealed_with(synced, 36, 1)));  // is too short
  const Bytes block(kBlockBytes);
  const std::vector<RedoBlock> redo = {{3, block}};
  const Bytes carrying = encode_journal_record(kHeader, 4096, {.redo = redo});
  EXPECT_TRUE(decode_journal_record(kHeader, 4096, sealed_with(carrying, 38, 0)));
  EXPECT_FALSE(decode_journal_record(kHeader, 4096, sealed_with(carrying, 38, 1)));  // both
}

// What a program of before wrote: runs alone, under a header of version 1.
TEST(JournalRecord, TheFirstVersionIsRead) {
  Bytes bytes = encode_journal_header(kHeader);
  for (uint32_t version : {1u, 2u, 3u, 0u}) {
    store_le(&bytes[4], version);
    store_le(&bytes[32], crc32c(std::span(bytes).first(32)));
    auto header = decode_journal_header(bytes);
    if (version == 1 || version == 2) {
      ASSERT_OK(header);
      EXPECT_EQ(header.value(), kHeader);
    } else {
      EXPECT_FAULT(header, Fault::kDamaged) << version;
    }
  }
}

TEST(JournalRecord, NoFlippedBitAndNoTornTailPasses) {
  const std::vector<WordRun> runs = {{5, 2, kAllData}};
  const Bytes block = random_bytes(1, kBlockBytes);
  const std::vector<RedoBlock> redo = {{80, block}};
  Bytes bytes = encode_journal_record(kHeader, 4096, {.runs = runs, .redo = redo});
  for (size_t bit = 0; bit < bytes.size() * 8; bit++) {
    Bytes bad = bytes;
    bad[bit / 8] ^= std::byte(1 << (bit % 8));
    EXPECT_FALSE(decode_journal_record(kHeader, 4096, bad)) << bit;
  }
  for (size_t length = 0; length < bytes.size(); length++) {
    EXPECT_FALSE(decode_journal_record(kHeader, 4096, std::span(bytes).first(length)));
  }
  EXPECT_FALSE(decode_journal_record(kHeader, 4096, Bytes(4096)));
}

// The example of docs/FORMAT.md.
TEST(JournalRecord, GoldenBytes) {
  const std::vector<WordRun> runs = {{5, 2, kAllData}};
  Bytes bytes = encode_journal_record(kHeader, 4096, {.runs = runs});
  std::string hex;
  for (std::byte byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", unsigned(byte));
    hex += digits;
  }
  EXPECT_EQ(hex.substr(0, 8), "43444a52");
  EXPECT_EQ(hex.substr(16),
            "8877665544332211"
            "0300000000000000"
            "0010000000000000"
            "01000000"
            "00000000"
            "0500000000000000"
            "02000000"
            "55555555");
}

}  // namespace
}  // namespace casdisk
