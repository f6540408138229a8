// A generation's two promises: what the page cache holds outlives the process, what a flush covered
// outlives the machine. The machine's end is played by another boot id: the live map then counts
// for nothing, though its bytes are all there.
#include "index/generation.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "cas/os/file_system.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

class RebootingFileSystem : public FaultyFileSystem {
 public:
  RebootingFileSystem(FileSystem& inner, FaultPlan& plan) : FaultyFileSystem(inner, plan) {}
  const std::string& boot_id() const override { return boot_id_; }
  void reboot() { boot_id_ += "x"; }

 private:
  std::string boot_id_ = "boot";
};

constexpr uint64_t kSizeBytes = 1'000'000;

class GenerationTest : public testing::Test {
 protected:
  GenerationTest()
      : inner_(must(make_file_system(IoChoice::kPosix, nullptr))), file_system_(*inner_, plan_) {
    directory_ = must(file_system_.open_directory(temporary_.path()));
    generation_ = must(Generation::create(place(), 1, kSizeBytes));
  }

  GenerationPlace place() {
    return {&file_system_, directory_.get(), [this] { return ++random_; }, &write_behind_,
            reserve_.get()};
  }
  Result<void> write(uint64_t block, uint64_t count, uint64_t seed) {
    Bytes bytes = random_bytes(seed, count * kBlockBytes);
    WritePiece piece{nullptr, block * kBlockBytes, bytes};
    return generation_->write(std::span(&piece, 1));
  }
  // What the overlay's file has there is something else from now on.
  void overwrite_overlay(uint64_t block, uint64_t count) {
    auto overlay = must(directory_->open("00000001.overlay", OpenMode::kWrite));
    must(overlay->write(block * kBlockBytes, Bytes(count * kBlockBytes)));
  }
  bool holds(uint64_t block, uint64_t count, uint64_t seed) {
    Bytes bytes(count * kBlockBytes);
    must(generation_->overlay().read(block * kBlockBytes, bytes));
    return bytes == random_bytes(seed, count * kBlockBytes);
  }
  BlockState state(uint64_t block) {
    ChunkWord word = generation_->word(block / kBlocksPerChunk);
    uint32_t i = block % kBlocksPerChunk;
    if ((data_blocks(word) >> i) & 1) return BlockState::kData;
    return (zero_blocks(word) >> i) & 1 ? BlockState::kZero : BlockState::kClean;
  }
  void restart() {
    generation_.reset();
    generation_ = must(Generation::recover(place(), 1, kSizeBytes, false));
  }
  void reboot() {
    file_system_.reboot();
    restart();
  }

  TemporaryDirectory temporary_;
  FaultPlan plan_;
  std::unique_ptr<FileSystem> inner_;
  RebootingFileSystem file_system_;
  std::unique_ptr<Directory> directory_;
  uint64_t random_ = 0;
  WriteBehind write_behind_;
  std::unique_ptr<SpaceReserve> reserve_;  // none unless a test makes one
  std::shared_ptr<Generation> generation_;
};

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
  generation_ = must(Generation::recover(place(), 1, kSizeBytes, true));
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

TEST_F(GenerationTest, AFailedSyncPoisonsForGood) {
  ASSERT_OK(write(3, 1, 1));
  plan_.fail(FileOperation::kSync, 1, EIO);
  EXPECT_FAULT(generation_->flush(), Fault::kPoisoned);
  EXPECT_FAULT(generation_->flush(), Fault::kPoisoned);
  EXPECT_FAULT(write(4, 1, 1), Fault::kPoisoned);
  EXPECT_TRUE(holds(3, 1, 1));
  generation_.reset();
  EXPECT_FAULT(Generation::recover(place(), 1, kSizeBytes, false), Fault::kPoisoned);
  ASSERT_OK(Generation::recover(place(), 1, kSizeBytes, true));
}

TEST_F(GenerationTest, AFailedWriteOutPoisonsLikeAFailedSync) {
  plan_.fail(FileOperation::kWriteOut, 1, EIO);
  Result<void> written;
  for (int i = 0; i < 5000 && written.ok(); i++) written = write(0, 100, 1);
  EXPECT_FAULT(written, Fault::kPoisoned);
  EXPECT_FAULT(generation_->flush(), Fault::kPoisoned);
  EXPECT_EQ(plan_.done_count(FileOperation::kWriteOut), 1u);
  generation_.reset();
  EXPECT_FAULT(Generation::recover(place(), 1, kSizeBytes, false), Fault::kPoisoned);
}

// A block that a flush is about to record as synced is not put back to what an earlier one carried,
// because newer pages cannot be written out meanwhile.
TEST_F(GenerationTest, AFailedWriteOutUndoesNoFlushThatIsUnderWay) {
  ASSERT_OK(write(0, 1, 1));
  ASSERT_OK(generation_->flush());                     // carried
  ASSERT_OK(write(0, 60, 2));                          // too much to be captured
  plan_.before_next(FileOperation::kSync, [this] {     // of the overlay
    plan_.before_next(FileOperation::kWrite, [this] {  // of the record that says so
      plan_.fail(FileOperation::kWriteOut, 1, EIO);
      Result<void> written;
      for (int i = 0; i < 5000 && written.ok(); i++) written = write(100, 100, 3);
      EXPECT_FAULT(written, Fault::kPoisoned);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // a chance to do harm
    });
  });
  ASSERT_OK(generation_->flush());
  EXPECT_FAULT(generation_->flush(), Fault::kPoisoned);
  generation_.reset();
  generation_ = must(Generation::recover(place(), 1, kSizeBytes, true));
  EXPECT_TRUE(holds(0, 1, 2));
}

// What a flush carried is there for readers, too, when a write-out fails behind it.
TEST_F(GenerationTest, AFailedWriteOutLeavesWhatFlushesCarried) {
  ASSERT_OK(write(0, 1, 1));
  ASSERT_OK(generation_->flush());
  overwrite_overlay(0, 1);  // what the device did not take
  plan_.fail(FileOperation::kWriteOut, 1, EIO);
  Result<void> written;
  for (int i = 0; i < 5000 && written.ok(); i++) written = write(100, 100, 3);
  EXPECT_FAULT(written, Fault::kPoisoned);
  generation_.reset();  // waits for the write-out, and what it does when it has failed
  auto overlay = must(directory_->open("00000001.overlay", OpenMode::kRead));
  Bytes bytes(kBlockBytes);
  must(overlay->read(0, bytes));
  EXPECT_EQ(bytes, random_bytes(1, kBlockBytes));
}

// It may have left new bytes in blocks that are data, and readers find them.
TEST_F(GenerationTest, AWriteThatFailsIsOwedToTheNextFlush) {
  for (uint64_t count : {1, 100}) {  // one that the journal would carry, and one that it would not
    ASSERT_OK(write(0, count, 1));
    ASSERT_OK(generation_->flush_overlay());
    plan_.fail(FileOperation::kWrite, 1, EIO);
    EXPECT_FAULT(write(0, count, 2), Fault::kIo);
    const uint64_t synced = plan_.done_count(FileOperation::kSync);
    ASSERT_OK(generation_->flush());
    EXPECT_GT(plan_.done_count(FileOperation::kSync), synced);
  }
}

TEST_F(GenerationTest, AFullFileSystemIsAnErrorThatPasses) {
  ASSERT_OK(write(3, 1, 1));
  plan_.fail(FileOperation::kWrite, 1, ENOSPC);
  EXPECT_FAULT(write(4, 1, 1), Fault::kNoSpace);
  EXPECT_EQ(state(4), BlockState::kClean);
  plan_.fail(FileOperation::kWrite, 1, ENOSPC);  // the journal's record
  EXPECT_FAULT(generation_->flush(), Fault::kNoSpace);
  ASSERT_OK(write(5, 1, 1));
  ASSERT_OK(generation_->flush());
  reboot();
  EXPECT_EQ(state(3), BlockState::kData);
  EXPECT_EQ(state(5), BlockState::kData);
}

// Where the journal has no room for blocks, it may have some for what says that they are data.
TEST_F(GenerationTest, AFlushThatCannotCarrySyncsTheOverlay) {
  ASSERT_OK(write(3, 1, 1));
  ASSERT_OK(generation_->flush());
  ASSERT_OK(write(4, 1, 1));
  plan_.fail(FileOperation::kWrite, 1, ENOSPC);
  const uint64_t synced = plan_.done_count(FileOperation::kSync);
  ASSERT_OK(generation_->flush());
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), synced + 2);
  ASSERT_OK(write(3, 1, 2));  // the overlay's from now on: block 3 is not redone as it was
  ASSERT_OK(write(5, 40, 2));
  ASSERT_OK(generation_->flush());
  reboot();
  EXPECT_TRUE(holds(3, 1, 2));
  EXPECT_TRUE(holds(4, 1, 1));
  EXPECT_EQ(state(4), BlockState::kData);
}

// Without room for those either it fails, and the next one owes all of it.
TEST_F(GenerationTest, AFlushWithoutRoomForAnythingIsAnErrorThatPasses) {
  ASSERT_OK(write(3, 1, 1));
  plan_.fail(FileOperation::kWrite, 1, ENOSPC, 2);
  EXPECT_FAULT(generation_->flush(), Fault::kNoSpace);
  ASSERT_OK(generation_->flush());
  reboot();
  EXPECT_EQ(state(3), BlockState::kData);
  EXPECT_TRUE(holds(3, 1, 1));
}

// What it was to carry is in no journal then: the next one must not say that it is flushed before
// the overlay is synced.
TEST_F(GenerationTest, AFlushThatFailsToCarryOwesASyncOfTheOverlay) {
  ASSERT_OK(write(3, 1, 1));
  plan_.fail(FileOperation::kWrite, 1, EIO);
  EXPECT_FAULT(generation_->flush(), Fault::kIo);
  const uint64_t synced = plan_.done_count(FileOperation::kSync);
  ASSERT_OK(generation_->flush());
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), synced + 2);  // the overlay, a new journal
}

TEST_F(GenerationTest, OnAFullFileSystemTheReserveLetsAllButDataGoOn) {
  reserve_ = must(SpaceReserve::open(*directory_, uint64_t(1) << 20));
  restart();
  ASSERT_OK(write(3, 1, 1));
  plan_.fail(FileOperation::kWrite, 1, ENOSPC);  // the journal's header
  ASSERT_OK(generation_->flush());
  EXPECT_TRUE(reserve_->is_in_use());
  plan_.set_free_bytes(0);
  EXPECT_FAULT(write(4, 1, 1), Fault::kNoSpace);
  EXPECT_FAULT(write(2, 2, 1), Fault::kNoSpace);
  ASSERT_OK(write(3, 1, 2));  // in its place
  ASSERT_OK(generation_->zero(3, 1));
  EXPECT_FAULT(write(3, 1, 1), Fault::kNoSpace);  // it gave its place back
  reboot();
  EXPECT_EQ(state(3), BlockState::kData);
  plan_.set_free_bytes(uint64_t(2) << 20);
  ASSERT_OK(write(4, 1, 1));
  EXPECT_FALSE(reserve_->is_in_use());
}

TEST_F(GenerationTest, RecoveryItselfMayBeInterruptedAnywhere) {
  ASSERT_OK(write(3, 9, 1));
  ASSERT_OK(generation_->flush());
  for (FileOperation operation :
       {FileOperation::kWrite, FileOperation::kSync, FileOperation::kDirectorySync}) {
    for (uint64_t nth = 1; nth <= 4; nth++) {
      generation_.reset();
      file_system_.reboot();
      plan_.fail(operation, nth, EIO);
      auto recovered = Generation::recover(place(), 1, kSizeBytes, false);
      plan_.fail(operation, 1'000'000, EIO);
      generation_ = must(Generation::recover(place(), 1, kSizeBytes, false));
      for (uint64_t block = 3; block < 12; block++) ASSERT_EQ(state(block), BlockState::kData);
    }
  }
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

TEST_F(GenerationTest, AnOverlayThatWasCutShortIsDamageNotZeros) {
  ASSERT_OK(write(3, 20, 1));
  ASSERT_OK(generation_->flush());
  generation_.reset();
  std::filesystem::resize_file(temporary_.path() + "/00000001.overlay", 8192);
  EXPECT_FAULT(Generation::recover(place(), 1, kSizeBytes, false), Fault::kDamaged);
}

TEST_F(GenerationTest, AFailedSyncOfTheDirectoryIsFinalToo) {
  ASSERT_OK(write(3, 1, 1));
  restart();  // the next flush writes a whole new journal
  plan_.fail(FileOperation::kDirectorySync, 1, EIO);
  EXPECT_FAULT(generation_->flush(), Fault::kPoisoned);
  EXPECT_FAULT(generation_->flush(), Fault::kPoisoned);
}

TEST_F(GenerationTest, AHeaderOfSomethingElseIsDamageNotEmptiness) {
  generation_.reset();
  file_system_.reboot();
  std::filesystem::resize_file(temporary_.path() + "/00000001.journal", 100);
  EXPECT_FAULT(Generation::recover(place(), 1, kSizeBytes, false), Fault::kDamaged);
}

}  // namespace
}  // namespace casdisk
