// Generations on devices that fail, file systems that are full, and files that are damaged.
#include <filesystem>
#include <thread>

#include "index/generation.h"
#include "tests/unit/generation_fixture.h"

namespace casdisk {
namespace {

TEST_F(GenerationTest, AFailedSyncPoisonsForGood) {
  ASSERT_OK(write(3, 1, 1));
  plan_.fail(FileOperation::kSync, 1, EIO);
  EXPECT_FAULT(generation_->flush(), Fault::kPoisoned);
  EXPECT_FAULT(generation_->flush(), Fault::kPoisoned);
  EXPECT_FAULT(write(4, 1, 1), Fault::kPoisoned);
  EXPECT_TRUE(holds(3, 1, 1));
  generation_.reset();
  EXPECT_FAULT(Generation::recover(place(), 1, kGenerationBytes, false), Fault::kPoisoned);
  ASSERT_OK(Generation::recover(place(), 1, kGenerationBytes, true));
}

TEST_F(GenerationTest, AFailedWriteOutPoisonsLikeAFailedSync) {
  plan_.fail(FileOperation::kWriteOut, 1, EIO);
  Result<void> written;
  for (int i = 0; i < 5000 && written.ok(); i++) written = write(0, 100, 1);
  EXPECT_FAULT(written, Fault::kPoisoned);
  EXPECT_FAULT(generation_->flush(), Fault::kPoisoned);
  EXPECT_EQ(plan_.done_count(FileOperation::kWriteOut), 1u);
  generation_.reset();
  EXPECT_FAULT(Generation::recover(place(), 1, kGenerationBytes, false), Fault::kPoisoned);
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
  generation_ = must(Generation::recover(place(), 1, kGenerationBytes, true));
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
      auto recovered = Generation::recover(place(), 1, kGenerationBytes, false);
      plan_.fail(operation, 1'000'000, EIO);
      generation_ = must(Generation::recover(place(), 1, kGenerationBytes, false));
      for (uint64_t block = 3; block < 12; block++) ASSERT_EQ(state(block), BlockState::kData);
    }
  }
}

TEST_F(GenerationTest, AnOverlayThatWasCutShortIsDamageNotZeros) {
  ASSERT_OK(write(3, 20, 1));
  ASSERT_OK(generation_->flush());
  generation_.reset();
  std::filesystem::resize_file(temporary_.path() + "/00000001.overlay", 8192);
  EXPECT_FAULT(Generation::recover(place(), 1, kGenerationBytes, false), Fault::kDamaged);
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
  EXPECT_FAULT(Generation::recover(place(), 1, kGenerationBytes, false), Fault::kDamaged);
}

}  // namespace
}  // namespace casdisk
