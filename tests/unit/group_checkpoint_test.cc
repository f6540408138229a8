// Checkpoints of several disks: one moment, all or none.
#include "index/group_checkpoint.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "index/checkpoint_view.h"
#include "index/lineage.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

using std::chrono::milliseconds;

// A member that can be made to fail at a step, or to come too late.
class FaultyMember : public DiskCutMember {
 public:
  enum class At { kNowhere, kHold, kCut, kFlush, kFinish };
  FaultyMember(std::shared_ptr<Disk> disk, At at, milliseconds delay = milliseconds(0))
      : DiskCutMember(std::move(disk)), at_(at), delay_(delay) {}

  Result<void> hold(milliseconds at_most) override {
    TRY(DiskCutMember::hold(at_most));
    if (delay_.count() > 0 && tries_++ == 0) std::this_thread::sleep_for(delay_);
    return at_ == At::kHold ? Result<void>(failure()) : Result<void>();
  }
  Result<uint64_t> cut() override {
    if (at_ == At::kCut) return failure();
    return DiskCutMember::cut();
  }
  Result<void> flush() override {
    if (at_ == At::kFlush) return failure();
    return DiskCutMember::flush();
  }
  Result<void> finish() override {
    if (at_ == At::kFinish) return failure();
    return DiskCutMember::finish();
  }

 private:
  Error failure() { return Error{Fault::kIo, 0, "a server that went away"}; }
  At at_;
  milliseconds delay_;
  int tries_ = 0;
};

// Whose disk is written to and sealed by somebody else as soon as it is cut.
class HurriedMember : public DiskCutMember {
 public:
  explicit HurriedMember(std::shared_ptr<Disk> disk)
      : DiskCutMember(disk), disk_(std::move(disk)) {}
  ~HurriedMember() override { sealer_.join(); }

  Result<uint64_t> cut() override {
    auto generation = DiskCutMember::cut();
    Bytes bytes(8);
    store_le(bytes.data(), uint64_t(2));
    must(disk_->write(0, bytes));
    sealer_ = std::thread([this] { must(disk_->seal_all(1, no_progress)); });
    std::this_thread::sleep_for(milliseconds(200));  // time enough for it
    return generation;
  }

 private:
  const std::shared_ptr<Disk> disk_;
  std::thread sealer_;
};

class GroupCheckpointTest : public testing::Test {
 protected:
  GroupCheckpointTest() {
    for (const char* name : {"a", "b"}) {
      must(create_disk(*store_, name, CreateOptions{8 * kChunkBytes, {}}));
      disks_.push_back(store_.served_disk(name));
    }
  }
  std::vector<std::unique_ptr<CutMember>> members(FaultyMember::At at = FaultyMember::At::kNowhere,
                                                  milliseconds delay = milliseconds(0)) {
    std::vector<std::unique_ptr<CutMember>> all;
    all.push_back(std::make_unique<DiskCutMember>(disks_[0]));
    all.push_back(std::make_unique<FaultyMember>(disks_[1], at, delay));
    return all;
  }
  uint64_t number_in(const std::string& disk, const std::string& name) {
    Bytes bytes(8);
    must(must(CheckpointView::open(*store_, {disk, name}))->read(0, bytes));
    return load_le<uint64_t>(bytes.data());
  }
  void write_number(int disk, uint64_t number) {
    Bytes bytes(8);
    store_le(bytes.data(), number);
    must(disks_[disk]->write(0, bytes));
  }

  TestStore store_;
  std::vector<std::shared_ptr<Disk>> disks_;
};

TEST_F(GroupCheckpointTest, IsOneMomentOfAllDisks) {
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> number = 0;
  // Each write of b begins after that of a was acknowledged, and the other way round.
  std::thread writer([&] {
    while (!stop) {
      number++;
      write_number(0, number);
      write_number(1, number);
    }
  });
  std::thread sealer([&] {
    while (!stop) {
      for (auto& disk : disks_) ASSERT_OK(disk->seal({.urgency = Urgency::kBackground}));
    }
  });
  std::vector<uint64_t> newest_before;
  for (int i = 0; i < 20; i++) {
    uint64_t before = number;
    ASSERT_OK(checkpoint_group(*store_, members(), {"g" + std::to_string(i), {}, {}}));
    if (i % 3 == 0) must(disks_[i % 2]->cut({"other" + std::to_string(i), {}, {}}));
    newest_before.push_back(before);
  }
  stop = true;
  writer.join();
  sealer.join();
  for (auto& disk : disks_) ASSERT_OK(disk->seal(1, no_progress));
  for (int i = 0; i < 20; i++) {
    std::string name = "g" + std::to_string(i);
    uint64_t a = number_in("a", name), b = number_in("b", name);
    EXPECT_TRUE(a == b || a == b + 1) << a << " " << b;
    EXPECT_GE(a + 1, newest_before[i]);
    EXPECT_EQ(must(find_checkpoint(*store_, {"a", name})).record.labels,
              (Labels{{kGroupLabel, name}}));
  }
}

TEST_F(GroupCheckpointTest, NothingIsRecordedWhenAMemberFailsAndWritesGoOn) {
  using At = FaultyMember::At;
  for (At at : {At::kHold, At::kCut, At::kFlush}) {
    write_number(0, 1);
    write_number(1, 1);
    EXPECT_FAULT(checkpoint_group(*store_, members(at), {"g", {}, {}}), Fault::kIo);
    write_number(0, 2);
    write_number(1, 2);
    for (auto& disk : disks_) ASSERT_OK(disk->seal(1, no_progress));
    EXPECT_FAULT(find_checkpoint(*store_, {"a", "g"}), Fault::kNotFound);
    EXPECT_FAULT(find_checkpoint(*store_, {"b", "g"}), Fault::kNotFound);
  }
  EXPECT_OK(checkpoint_group(*store_, members(), {"g", {}, {}}));
}

TEST_F(GroupCheckpointTest, AHoldThatRanOutIsTriedAgain) {
  write_number(0, 1);
  write_number(1, 1);
  auto held =
      checkpoint_group(*store_, members(FaultyMember::At::kNowhere, 2 * kMaxHold), {"g", {}, {}});
  ASSERT_OK(held);
  EXPECT_LT(held.value(), kMaxHold);
}

TEST_F(GroupCheckpointTest, AHoldEndsByItselfWhenWhoAskedForItIsGone) {
  write_number(0, 1);
  ASSERT_OK(disks_[0]->prepare_cut());
  auto hold = must(disks_[0]->hold(LayersGate::Clock::now() + milliseconds(30)));
  EXPECT_FAULT(disks_[0]->hold(LayersGate::Clock::now() + milliseconds(30)), Fault::kBusy);
  write_number(0, 2);  // waits, and goes on
  EXPECT_FAULT(disks_[0]->cut_held(hold), Fault::kBusy);
}

TEST_F(GroupCheckpointTest, AHoldIsCutAndReleasedByNobodyElse) {
  auto first = must(disks_[0]->hold(LayersGate::Clock::now() + milliseconds(1)));
  write_number(0, 1);  // when it is over
  auto second = must(disks_[0]->hold(LayersGate::Clock::now() + std::chrono::seconds(20)));
  EXPECT_FAULT(disks_[0]->cut_held(first), Fault::kBusy);
  disks_[0]->release(first);
  EXPECT_OK(disks_[0]->cut_held(second));
}

// Groups that have disks in common, at the same time: each is one moment.
TEST_F(GroupCheckpointTest, GroupsThatMeetDoNotMix) {
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (uint64_t number = 1; !stop; number++) {
      write_number(0, number);
      write_number(1, number);
    }
  });
  auto make = [&](const std::string& prefix, int count) {
    for (int made = 0, tries = 0; made < count && tries < 1000; tries++) {
      auto held = checkpoint_group(*store_, members(), {prefix + std::to_string(made), {}, {}});
      if (held.ok()) made++;
      EXPECT_TRUE(held.ok() || held.error().fault == Fault::kBusy) << describe(held.error());
    }
  };
  std::thread other([&] { make("x", 10); });
  make("y", 10);
  other.join();
  stop = true;
  writer.join();
  for (auto& disk : disks_) ASSERT_OK(disk->seal(1, no_progress));
  for (const char* prefix : {"x", "y"}) {
    for (int i = 0; i < 10; i++) {
      std::string name = prefix + std::to_string(i);
      uint64_t a = number_in("a", name), b = number_in("b", name);
      EXPECT_TRUE(a == b || a == b + 1) << name << " " << a << " " << b;
    }
  }
}

// Recorded, and then who cut it dies: the disks learn of it by themselves.
TEST_F(GroupCheckpointTest, IsSealedAlthoughNobodyTellsTheOutcome) {
  write_number(1, 1);
  ASSERT_OK(checkpoint_group(*store_, members(FaultyMember::At::kFinish), {"g", {}, {}}));
  write_number(1, 2);
  EXPECT_TRUE(disks_[1]->seal_status().pending.empty());  // not known there
  ASSERT_OK(disks_[1]->seal(1, no_progress));
  EXPECT_EQ(number_in("b", "g"), 1u);
  while (!disks_[1]->wants_seal()) std::this_thread::sleep_for(milliseconds(50));
  ASSERT_OK(disks_[1]->seal(1, no_progress));
  EXPECT_FALSE(disks_[1]->wants_seal());
}

TEST_F(GroupCheckpointTest, WhatIsWrittenAfterTheCutIsPublishedAfterTheGroup) {
  write_number(1, 1);
  std::vector<std::unique_ptr<CutMember>> all;
  all.push_back(std::make_unique<DiskCutMember>(disks_[0]));
  all.push_back(std::make_unique<HurriedMember>(disks_[1]));
  EXPECT_OK(checkpoint_group(*store_, std::move(all), {"g", {}, {}}));
  ASSERT_OK(disks_[1]->seal(1, no_progress));
  EXPECT_EQ(number_in("b", "g"), 1u);
}

TEST_F(GroupCheckpointTest, MoreLabelsThanACheckpointTakesAreRefused) {
  Labels labels;
  for (size_t i = 0; i < kMaxLabels; i++) labels.emplace_back("k" + std::to_string(i), "v");
  write_number(0, 1);
  EXPECT_FAULT(checkpoint_group(*store_, members(), {"g", labels, {}}), Fault::kInvalid);
  labels.pop_back();
  EXPECT_OK(checkpoint_group(*store_, members(), {"g", labels, {}}));
}

TEST_F(GroupCheckpointTest, ATakenNameOfOneIsTakenForAll) {
  write_number(1, 1);
  ASSERT_OK(disks_[1]->cut({"g", {}, {}}));
  EXPECT_FAULT(checkpoint_group(*store_, members(), {"g", {}, {}}), Fault::kExists);
  EXPECT_FAULT(find_checkpoint(*store_, {"a", "g"}), Fault::kNotFound);
}

TEST_F(GroupCheckpointTest, ARollbackInBetweenMakesTheCutVoid) {
  write_number(0, 1);
  ASSERT_OK(disks_[0]->cut({"old", {}, {}}));
  ASSERT_OK(disks_[0]->seal(1, no_progress));
  FoundCheckpoint old = must(find_checkpoint(*store_, {"a", "old"}));
  auto hold = must(disks_[0]->hold(LayersGate::Clock::now() + std::chrono::seconds(20)));
  uint64_t cut = must(disks_[0]->cut_held(hold));
  EXPECT_FAULT(disks_[0]->roll_back(old.id, old.record), Fault::kBusy);
  ASSERT_OK(disks_[0]->reload(cut));
  EXPECT_OK(disks_[0]->roll_back(old.id, old.record));
}

}  // namespace
}  // namespace casdisk
