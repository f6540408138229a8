// After a failed sync a disk takes no more writes, says so when it is opened again, also after a
// reboot, and goes on only when the operator accepts what can be read.
#include <gtest/gtest.h>

#include "cas/os/file_system.h"
#include "index/lineage.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

class RebootedFileSystem : public FaultyFileSystem {
 public:
  RebootedFileSystem(FileSystem& inner, FaultPlan& plan) : FaultyFileSystem(inner, plan) {}
  const std::string& boot_id() const override { return boot_id_; }

 private:
  const std::string boot_id_ = "another boot";
};

class PoisonTest : public testing::Test {
 protected:
  PoisonTest() : inner_(must(make_file_system(IoChoice::kPosix, nullptr))) {
    store_.reopen(std::make_shared<FaultyFileSystem>(*inner_, plan_));
    must(create_disk(*store_, "d", CreateOptions{1'000'000, {}}));
    disk_ = store_.disk("d");
    must(disk_->write(0, bytes_));
    must(disk_->flush());
    must(disk_->write(4096, bytes_));
    plan_.fail(FileOperation::kSync, 1, EIO);
  }

  // The operator's decision.
  void accept() {
    disk_.reset();
    ASSERT_OK(accept_disk(*store_, "d", 1, no_progress));
    disk_ = store_.disk("d");
  }

  void expect_poisoned_until_accepted() {
    EXPECT_FAULT(disk_->write(0, bytes_), Fault::kPoisoned);
    EXPECT_FAULT(disk_->zero(0, 4096), Fault::kPoisoned);
    EXPECT_FAULT(disk_->flush(), Fault::kPoisoned);
    Bytes back(bytes_.size());
    ASSERT_OK(disk_->read(0, back));
    EXPECT_EQ(back, bytes_);
    disk_.reset();
    store_.reopen(std::make_shared<RebootedFileSystem>(*inner_, plan_));
    EXPECT_FAULT(Disk::open(*store_, "d", {}), Fault::kPoisoned);
    accept();
    ASSERT_OK(disk_->write(0, bytes_));
    ASSERT_OK(disk_->flush());
  }

  FaultPlan plan_;
  std::unique_ptr<FileSystem> inner_;
  TestStore store_;
  std::shared_ptr<Disk> disk_;
  Bytes bytes_ = random_bytes(1, 4096);
};

TEST_F(PoisonTest, ByAFlush) {
  EXPECT_FAULT(disk_->flush(), Fault::kPoisoned);
  expect_poisoned_until_accepted();
}

TEST_F(PoisonTest, ByACheckpoint) {
  EXPECT_FAULT(disk_->cut({"c", {}, {}}), Fault::kPoisoned);
  expect_poisoned_until_accepted();
}

// A generation whose only write failed: the sync that failed was of its bytes, the map has nothing.
TEST_F(PoisonTest, AlsoWhereNothingWasAcknowledged) {
  must(create_disk(*store_, "e", CreateOptions{1'000'000, {}}));
  plan_.fail(FileOperation::kSync, 1000, EIO);
  plan_.fail(FileOperation::kWrite, 4, EIO);  // after the journal's header and zeros, and the note
  EXPECT_FAULT(store_.disk("e")->write(0, bytes_), Fault::kIo);
  disk_ = store_.disk("e");  // what is in the overlay is not known
  plan_.fail(FileOperation::kSync, 1, EIO);
  EXPECT_FAULT(disk_->flush(), Fault::kPoisoned);
  disk_.reset();
  EXPECT_FAULT(Disk::open(*store_, "e", {}), Fault::kPoisoned);
  ASSERT_OK(accept_disk(*store_, "e", 1, no_progress));
  EXPECT_EQ(contents(*store_.disk("e")), Bytes(1'000'000));
}

// Within the same boot, too: the map has what is no longer known to be in the overlay.
TEST_F(PoisonTest, AcceptedItIsAsItWasFlushed) {
  const Bytes other = random_bytes(2, 4096);
  EXPECT_FAULT(disk_->flush(), Fault::kPoisoned);
  accept();
  const Bytes expected = contents(*disk_);
  ASSERT_TRUE(std::ranges::equal(std::span(expected).first(4096), bytes_));
  must(disk_->write(0, other));
  must(disk_->write(4096, other));
  must(disk_->write(8192, random_bytes(3, 40 * 4096)));  // more than the journal carries
  plan_.fail(FileOperation::kSync, 1, EIO);              // of the overlay
  EXPECT_FAULT(disk_->flush(), Fault::kPoisoned);
  accept();
  EXPECT_EQ(contents(*disk_), expected);
}

// A journal record that carries its blocks is whole or is none, whatever became of its sync.
TEST_F(PoisonTest, AcceptedItHasEachBlockWhole) {
  const Bytes other = random_bytes(2, 4096);
  EXPECT_FAULT(disk_->flush(), Fault::kPoisoned);
  accept();
  must(disk_->write(0, other));
  plan_.fail(FileOperation::kSync, 1, EIO);  // of the journal
  EXPECT_FAULT(disk_->flush(), Fault::kPoisoned);
  accept();
  Bytes found(4096);
  must(disk_->read(0, found));
  EXPECT_TRUE(found == other || found == bytes_);
}

// What the journal carries lies in the overlay's pages alone until it is sealed: lost there,
// nothing is sealed of it, and accepting the disk brings it back.
TEST_F(PoisonTest, WhatTheJournalCarriesIsNotSealedUnsynced) {
  EXPECT_FAULT(disk_->flush(), Fault::kPoisoned);
  accept();
  const Entry root = disk_->head().root;
  must(disk_->write(40'960, bytes_));
  must(disk_->flush());
  plan_.fail(FileOperation::kSync, 2, EIO);  // after the cut's own
  ASSERT_FALSE(disk_->seal_all(1, no_progress).ok());
  EXPECT_EQ(disk_->head().root, root);
  accept();
  Bytes found(4096);
  must(disk_->read(40'960, found));
  EXPECT_EQ(found, bytes_);
}

// Neither by hand nor in the background does what may be lost become a root.
TEST_F(PoisonTest, NothingIsSealedUntilItIsAccepted) {
  disk_.reset();
  disk_ = store_.served_disk("d");
  must(disk_->write(8192, bytes_));
  EXPECT_FAULT(disk_->flush(), Fault::kPoisoned);
  EXPECT_FAULT(disk_->cut({"c", {}, {}}), Fault::kPoisoned);
  EXPECT_FAULT(disk_->fork("f"), Fault::kPoisoned);
  EXPECT_FAULT(disk_->prepare_cut(), Fault::kPoisoned);
  must(disk_->seal(1, no_progress));  // finds nothing frozen
  EXPECT_EQ(disk_->head().root, Entry::absent());
  expect_poisoned_until_accepted();
}

}  // namespace
}  // namespace casdisk
