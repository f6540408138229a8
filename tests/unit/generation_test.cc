// What of a generation outlives the process and the machine, and what a flush costs.
#include "index/generation.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/unit/generation_fixture.h"

namespace casdisk {
namespace {

TEST_F(GenerationTest, WhatWasWrittenOutlivesTheProcessUnflushed) {
  ASSERT_OK(write(3, 20, 1));
  ASSERT_OK(generation_->zero(10, 2));
  restart();
  EXPECT_EQ(state(2), BlockState::kClean);
  EXPECT_EQ(state(3), BlockState::kData);
  EXPECT_EQ(state(10), BlockState::kZero);
  EXPECT_EQ(state(22), BlockState::kData);
  EXPECT_TRUE(holds(3, 7, 1));
}

TEST_F(GenerationTest, OnlyWhatWasFlushedOutlivesTheMachine) {
  ASSERT_OK(write(3, 4, 1));
  ASSERT_OK(generation_->flush());
  ASSERT_OK(write(40, 1, 2));
  ASSERT_OK(generation_->zero(3, 1));
  reboot();
  EXPECT_EQ(state(3), BlockState::kData);  // as flushed: the zero was not
  EXPECT_EQ(state(6), BlockState::kData);
  EXPECT_EQ(state(40), BlockState::kClean);
}

// A write that overlaps a trim, between its mark and its hole, and a flush after it.
TEST_F(GenerationTest, AHoleIsOwedToTheNextFlush) {
  ASSERT_OK(write(3, 1, 1));
  plan_.before_next(FileOperation::kPunch, [&] {
    ASSERT_OK(write(3, 1, 2));
    ASSERT_OK(generation_->flush());
  });
  ASSERT_OK(generation_->zero(3, 1));
  ASSERT_EQ(state(3), BlockState::kData);  // that is the hole
  const uint64_t before = plan_.done_count(FileOperation::kSync);
  ASSERT_OK(generation_->flush());  // of the overlay, and of a record that says so
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 2);
  ASSERT_OK(generation_->flush());  // it is owed once
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 2);
}

TEST_F(GenerationTest, AFlushOfAFewBlocksIsOneSync) {
  ASSERT_OK(write(3, 1, 1));
  uint64_t before = plan_.done_count(FileOperation::kSync);
  ASSERT_OK(generation_->flush());
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 1);
  ASSERT_OK(write(3, 1, 2));  // no word changes, and the journal carries the block already
  ASSERT_OK(generation_->flush());
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 2);
  ASSERT_OK(generation_->flush());
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 2);
  // Too many: the overlay is synced, and the journal says so.
  ASSERT_OK(write(10, RedoBuffer::kMaxBlocks, 3));
  ASSERT_OK(write(3, 1, 4));
  ASSERT_OK(generation_->flush());
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 4);
}

// A guest that only rewrites is left to the overlay.
TEST_F(GenerationTest, FlushesOfRewrittenBlocksGoBackToTheOverlay) {
  ASSERT_OK(write(3, 1, 0));
  ASSERT_OK(generation_->flush());
  const uint64_t before = plan_.done_count(FileOperation::kSync);
  for (uint64_t i = 1; i <= 40; i++) {
    ASSERT_OK(write(3, 1, i));
    ASSERT_OK(generation_->flush());
  }
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 41);  // one more, where it changed
  overwrite_overlay(3, 1);
  reboot();
  EXPECT_FALSE(holds(3, 1, 40));  // the journal carries nothing any more
}

TEST_F(GenerationTest, AnOverlayIsSyncedWhateverTheJournalCarries) {
  ASSERT_OK(write(3, 1, 1));
  ASSERT_OK(generation_->flush());
  const uint64_t before = plan_.done_count(FileOperation::kSync);
  ASSERT_OK(generation_->flush_overlay());
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 2);
  ASSERT_OK(generation_->flush_overlay());
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 2);
  ASSERT_OK(write(4, 1, 1));
  ASSERT_OK(generation_->flush());  // carried again
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 3);
  plan_.fail(FileOperation::kSync, 1, EIO);  // the kernel could not write it out
  EXPECT_FAULT(generation_->flush_overlay(), Fault::kPoisoned);
  generation_.reset();
  generation_ = must(Generation::recover(place(), 1, kGenerationBytes, true));
  EXPECT_TRUE(holds(4, 1, 1));  // the journal has it
}

// A write that began while there were too many, and ends when a flush has begun to capture again.
TEST_F(GenerationTest, AWriteThatAFlushOvertakesIsOwedToTheNext) {
  ASSERT_OK(write(100, RedoBuffer::kMaxBlocks + 1, 1));
  plan_.before_next(FileOperation::kWrite, [&] {
    ASSERT_OK(generation_->flush());
    ASSERT_OK(write(3, 1, 2));  // captured
  });
  ASSERT_OK(write(3, 1, 3));  // its bytes come last
  const uint64_t before = plan_.done_count(FileOperation::kSync);
  ASSERT_OK(generation_->flush());
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 2);  // not carried
  reboot();
  EXPECT_TRUE(holds(3, 1, 3));
}

// Too many come, and a flush before the last of them is written.
TEST_F(GenerationTest, WhatWasCapturedIsOwedWhenThereAreTooMany) {
  ASSERT_OK(write(3, 1, 1));
  uint64_t before = 0;
  plan_.before_next(FileOperation::kWrite, [&] {
    before = plan_.done_count(FileOperation::kSync);
    ASSERT_OK(generation_->flush());
    EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + 2);  // of overlay and journal
  });
  ASSERT_OK(write(100, RedoBuffer::kMaxBlocks, 1));
  EXPECT_NE(before, 0u);
}

// The machine's end takes the overlay's bytes, as far as no sync has covered them.
TEST_F(GenerationTest, WhatTheJournalCarriesIsRedone) {
  ASSERT_OK(write(3, 2, 1));
  ASSERT_OK(generation_->flush());
  ASSERT_OK(write(4, 1, 2));
  ASSERT_OK(generation_->flush());
  ASSERT_OK(write(3, 1, 3));  // owed to the next flush
  generation_.reset();
  overwrite_overlay(3, 2);
  reboot();
  Bytes first(kBlockBytes);
  must(generation_->overlay().read(3 * kBlockBytes, first));
  const Bytes both = random_bytes(1, 2 * kBlockBytes);
  EXPECT_TRUE(std::ranges::equal(first, std::span(both).first(kBlockBytes)));
  EXPECT_TRUE(holds(4, 1, 2));
  overwrite_overlay(3, 2);  // the recovery has put them into the overlay
  generation_.reset();
  reboot();
  EXPECT_FALSE(holds(4, 1, 2));
}

TEST_F(GenerationTest, WhatTheOverlayHasGotSinceIsNotUndone) {
  ASSERT_OK(write(3, 1, 1));
  ASSERT_OK(generation_->flush());  // carried
  ASSERT_OK(write(3, RedoBuffer::kMaxBlocks + 1, 2));
  ASSERT_OK(generation_->flush());  // synced
  reboot();
  EXPECT_TRUE(holds(3, RedoBuffer::kMaxBlocks + 1, 2));
  ASSERT_OK(write(3, 1, 1));
  ASSERT_OK(generation_->flush());
  ASSERT_OK(write(3, RedoBuffer::kMaxBlocks, 4));
  ASSERT_OK(write(70, 1, 4));  // one too many
  ASSERT_OK(write(3, 1, 5));
  ASSERT_OK(generation_->flush());
  ASSERT_OK(write(75, 1, 6));
  ASSERT_OK(generation_->flush());  // carried again
  overwrite_overlay(75, 1);
  reboot();
  EXPECT_TRUE(holds(3, 1, 5));
  EXPECT_TRUE(holds(75, 1, 6));
}

TEST_F(GenerationTest, WhatIsCarriedHasABound) {
  constexpr uint64_t kFlushes = 160, kBlocks = RedoBuffer::kMaxBlocks;  // 20 MiB in all
  constexpr uint64_t kBytes = kFlushes * kBlocks * kBlockBytes;
  generation_ = must(Generation::create(place(), 2, kBytes));
  const uint64_t before = plan_.done_count(FileOperation::kSync);
  for (uint64_t i = 0; i < kFlushes; i++) {
    ASSERT_OK(write(i * kBlocks, kBlocks, i));
    ASSERT_OK(generation_->flush());
  }
  // Each 8 MiB the overlay is synced.
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), before + kFlushes + 2);
  EXPECT_LT(std::filesystem::file_size(temporary_.path() + "/00000002.journal"), uint64_t(10)
                                                                                     << 20);
  generation_.reset();
  file_system_.reboot();
  generation_ = must(Generation::recover(place(), 2, kBytes, false));
  for (uint64_t i = 0; i < kFlushes; i++) EXPECT_TRUE(holds(i * kBlocks, kBlocks, i)) << i;
}

TEST_F(GenerationTest, WhatASurvivorOwesTheNextFlushPays) {
  ASSERT_OK(write(3, 1, 1));
  restart();  // the journal knows nothing of block 3
  ASSERT_OK(generation_->flush());
  reboot();
  EXPECT_EQ(state(3), BlockState::kData);
}

TEST_F(GenerationTest, RecordsCutOffByARecoveryStayDead) {
  ASSERT_OK(write(1, 1, 1));
  ASSERT_OK(generation_->flush());
  ASSERT_OK(write(2, 1, 1));
  ASSERT_OK(generation_->flush());
  ASSERT_OK(write(3, 1, 1));
  ASSERT_OK(generation_->flush());
  // The second record is torn; the third lies whole behind it.
  std::string path = temporary_.path() + "/00000001.journal";
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(kJournalHeaderBytes + kJournalRecordHeaderBytes + kJournalRunBytes +
               kJournalRedoBytes + 9);
    file.put('\x7f');
  }
  reboot();
  EXPECT_EQ(state(1), BlockState::kData);
  EXPECT_EQ(state(2), BlockState::kClean);
  EXPECT_EQ(state(3), BlockState::kClean);
  ASSERT_OK(write(5, 1, 1));  // a record of the same length in the place of the torn one
  ASSERT_OK(generation_->flush());
  reboot();
  EXPECT_EQ(state(5), BlockState::kData);
  EXPECT_EQ(state(3), BlockState::kClean);
}

TEST_F(GenerationTest, AReusedMountIsNotTheSameMount) {
  ASSERT_OK(write(3, 1, 1));
  generation_.reset();
  MountProof proof{file_system_.boot_id(), must(directory_->mount_id()) + 1};
  auto map = LiveMap::open(*directory_, "00000001.map", 1, 16, proof);
  ASSERT_OK(map);
  EXPECT_EQ(map.value(), nullptr);
}

TEST_F(GenerationTest, ALongJournalIsWrittenAnewAndSaysTheSame) {
  for (int i = 0; i < 400; i++) {
    ASSERT_OK(i % 2 ? generation_->zero(i % 200, 1) : write(i % 200, 1, uint64_t(i)));
    ASSERT_OK(generation_->flush());
  }
  std::vector<BlockState> before;
  for (uint64_t block = 0; block < 200; block++) before.push_back(state(block));
  reboot();
  for (uint64_t block = 0; block < 200; block++) EXPECT_EQ(state(block), before[block]) << block;
}

TEST_F(GenerationTest, ConcurrentFlushesCoverTheirCallersWrites) {
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 8; thread++) {
    threads.emplace_back([this, thread] {
      for (uint64_t i = 0; i < 25; i++) {
        must(write(thread * 30 + i, 1, i));
        must(generation_->flush());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  reboot();
  for (uint64_t thread = 0; thread < 8; thread++) {
    for (uint64_t i = 0; i < 25; i++) {
      ASSERT_EQ(state(thread * 30 + i), BlockState::kData);
      ASSERT_TRUE(holds(thread * 30 + i, 1, i));
    }
  }
}

}  // namespace
}  // namespace casdisk
