#include "index/lineage.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "index/checkpoint_view.h"
#include "index/volume_diff.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr uint64_t kSizeBytes = 3 * kChunkBytes + 5000;

class LineageTest : public testing::Test {
 protected:
  LineageTest() { must(create_disk(*store_, "d", CreateOptions{kSizeBytes, {}})); }

  void write(const std::string& disk, uint64_t offset, uint64_t seed, size_t length = 10'000) {
    ASSERT_OK(store_.disk(disk)->write(offset, random_bytes(seed, length)));
  }
  ChunkId checkpoint(const std::string& disk, const std::string& name) {
    return must(checkpoint_disk(*store_, disk, {name, {}, {}}, 2, no_progress));
  }
  Bytes view(const std::string& disk, const std::string& name) {
    return contents(*must(CheckpointView::open(*store_, {disk, name})));
  }
  uint64_t file_count(const std::string& folder) {
    uint64_t count = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(store_.path() + "/" + folder)) {
      count += entry.is_regular_file();
    }
    return count;
  }

  TestStore store_;
};

TEST_F(LineageTest, AnUnchangedDiskHasTheSameRootAndNewCheckpointsCostNoChunks) {
  write("d", 100, 1);
  checkpoint("d", "a");
  uint64_t objects = store_->local_chunks().counters().new_object_count;
  checkpoint("d", "b");
  EXPECT_EQ(store_->local_chunks().counters().new_object_count, objects + 1);  // its record
  auto links = must(lineage_of(*store_, {"d", ""}));
  ASSERT_EQ(links.size(), 2u);
  EXPECT_EQ(links[0].record.name, "b");
  EXPECT_EQ(links[0].record.root, links[1].record.root);
  EXPECT_EQ(links[0].record.parent, links[1].id);
}

TEST_F(LineageTest, ForksShareAndDoNotTouchEachOther) {
  write("d", 100, 1);
  checkpoint("d", "a");
  Bytes before = view("d", "a");
  const uint64_t files = file_count("disks");
  must(fork_disk(*store_, {"d", "a"}, "f", std::nullopt));
  EXPECT_EQ(file_count("disks"), files);  // a fork is a record
  write("f", 5000, 2);
  EXPECT_EQ(contents(*store_.disk("d")), before);
  EXPECT_NE(contents(*store_.disk("f")), before);
  must(remove_disk(*store_, "d"));
  Bytes fork = contents(*store_.disk("f"));
  EXPECT_TRUE(std::equal(before.begin(), before.begin() + 5000, fork.begin()));
  auto links = must(lineage_of(*store_, {"f", ""}));
  ASSERT_EQ(links.size(), 1u);
  EXPECT_FALSE(links[0].alive);
}

TEST_F(LineageTest, ForkOfADirtyHeadHasItsWrites) {
  write("d", 100, 1);
  Bytes before = contents(*store_.disk("d"));
  must(fork_disk(*store_, {"d", ""}, "f", kSizeBytes + 100'000));
  Bytes fork = contents(*store_.disk("f"));
  ASSERT_EQ(fork.size(), kSizeBytes + 100'000);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), fork.begin()));
}

TEST_F(LineageTest, RollbackDropsWhatWasWrittenSince) {
  write("d", 100, 1);
  checkpoint("d", "a");
  Bytes before = view("d", "a");
  write("d", 0, 2, kSizeBytes);
  must(rollback_disk(*store_, {"d", "a"}));
  EXPECT_EQ(contents(*store_.disk("d")), before);
  EXPECT_EQ(file_count("disks"), 0u);
}

TEST_F(LineageTest, ShrinkForgetsWhatItCutsOff) {
  write("d", 0, 1, kSizeBytes);
  Bytes expected = contents(*store_.disk("d"));
  for (uint64_t size :
       {kSizeBytes - 1, uint64_t(2) * kChunkBytes + 4097, uint64_t(kChunkBytes), uint64_t(1)}) {
    must(resize_disk(*store_, "d", size, 2, no_progress));
    expected.resize(size);
    ASSERT_EQ(contents(*store_.disk("d")), expected);
  }
  must(resize_disk(*store_, "d", kSizeBytes, 2, no_progress));
  expected.resize(kSizeBytes);
  EXPECT_EQ(contents(*store_.disk("d")), expected);
}

TEST_F(LineageTest, TakenMissingAndBadNamesAreToldApart) {
  EXPECT_FAULT(create_disk(*store_, "d", CreateOptions{1, {}}), Fault::kExists);
  EXPECT_FAULT(create_disk(*store_, "../d", CreateOptions{1, {}}), Fault::kInvalid);
  EXPECT_FAULT(create_disk(*store_, "e", CreateOptions{0, {}}), Fault::kInvalid);
  EXPECT_FAULT(create_disk(*store_, "e", CreateOptions{}), Fault::kInvalid);
  EXPECT_FAULT(create_disk(*store_, "e", CreateOptions{kMaxDiskBytes + 1, {}}), Fault::kInvalid);
  EXPECT_FAULT(fork_disk(*store_, {"no", ""}, "e", {}), Fault::kNotFound);
  EXPECT_FAULT(fork_disk(*store_, {"d", "no"}, "e", {}), Fault::kNotFound);
  EXPECT_FAULT(rollback_disk(*store_, {"d", "no"}), Fault::kNotFound);
  EXPECT_FAULT(remove_checkpoint(*store_, {"d", "no"}), Fault::kNotFound);
  EXPECT_FAULT(remove_disk(*store_, "no"), Fault::kNotFound);
  checkpoint("d", "a");
  EXPECT_FAULT(checkpoint_disk(*store_, "d", {"a", {}, {}}, 1, no_progress), Fault::kExists);
}

TEST_F(LineageTest, AHeldDiskIsBusyForEverythingThatChangesIt) {
  checkpoint("d", "a");
  auto held = store_.disk("d");
  EXPECT_FAULT(Disk::open(*store_, "d", {}), Fault::kBusy);
  EXPECT_FAULT(checkpoint_disk(*store_, "d", {"b", {}, {}}, 1, no_progress), Fault::kBusy);
  EXPECT_FAULT(rollback_disk(*store_, {"d", "a"}), Fault::kBusy);
  EXPECT_FAULT(resize_disk(*store_, "d", 1, 1, no_progress), Fault::kBusy);
  EXPECT_FAULT(remove_disk(*store_, "d"), Fault::kBusy);
  must(fork_disk(*store_, {"d", "a"}, "f", std::nullopt));  // changes nothing of d
}

TEST_F(LineageTest, ACheckpointCutBeforeACrashIsSealedByWhoNeedsIt) {
  write("d", 100, 1);
  Bytes before = contents(*store_.disk("d"));
  {
    auto disk = store_.disk("d");
    ASSERT_OK(disk->cut({"a", {}, {}}));
    ASSERT_OK(disk->write(0, Bytes(kSizeBytes, std::byte(3))));  // the process ends here
  }
  store_.reopen();
  EXPECT_EQ(view("d", "a"), before);
  EXPECT_EQ(contents(*store_.disk("d")), Bytes(kSizeBytes, std::byte(3)));
}

TEST_F(LineageTest, CheckpointsOfACleanHeadAreNotTheWritesThatFollow) {
  write("d", 100, 1);
  checkpoint("d", "a");
  Bytes before = view("d", "a");
  {
    auto disk = store_.disk("d");
    ASSERT_OK(disk->cut({"b", {}, {}}));  // nothing dirty, nothing to freeze
    ASSERT_OK(disk->write(0, Bytes(kSizeBytes, std::byte(3))));
    ASSERT_OK(disk->cut({"c", {}, {}}));
    ASSERT_OK(disk->seal(2, no_progress));
  }
  EXPECT_EQ(view("d", "b"), before);
  EXPECT_EQ(view("d", "c"), Bytes(kSizeBytes, std::byte(3)));
}

TEST_F(LineageTest, FilesThatNoHeadNamesAreRemovedAtOpen) {
  write("d", 100, 1);
  std::string folder = store_.path() + "/disks/00000001/";
  std::filesystem::copy_file(folder + "00000001.overlay", folder + "00000009.overlay");
  store_.disk("d");
  EXPECT_FALSE(std::filesystem::exists(folder + "00000009.overlay"));
  EXPECT_TRUE(std::filesystem::exists(folder + "00000001.overlay"));
}

TEST_F(LineageTest, WhatAnInterruptedRemovalLeftGoesWithTheNext) {
  write("d", 100, 1);
  std::string disks = store_.path() + "/disks/";
  std::filesystem::copy(disks + "00000001", disks + "0000007f");  // a disk that no head has
  must(create_disk(*store_, "e", CreateOptions{kSizeBytes, {}}));
  write("e", 100, 1);
  auto held = store_.disk("d");
  must(remove_disk(*store_, "e"));
  EXPECT_FALSE(std::filesystem::exists(disks + "0000007f"));
  EXPECT_TRUE(std::filesystem::exists(disks + "00000001"));
  EXPECT_FALSE(std::filesystem::exists(disks + "00000002"));
}

TEST_F(LineageTest, ACheckpointRecordThatChangedIsDamage) {
  ChunkId id = checkpoint("d", "a");
  CheckpointRecord record = must(store_->catalog().checkpoint(id));
  record.size_bytes += kChunkBytes;
  must(store_->catalog().update(
      [&](CatalogWriter& writer) { return writer.put_checkpoint(1, "a", id, encode(record)); }));
  EXPECT_FAULT(CheckpointView::open(*store_, {"d", "a"}), Fault::kDamaged);
}

TEST_F(LineageTest, DiffCountsWhatDiffers) {
  write("d", 0, 1, kSizeBytes);
  checkpoint("d", "a");
  write("d", kChunkBytes + 5, 2, 10);
  checkpoint("d", "b");
  std::vector<DiffRange> ranges;
  auto collect = [&](const DiffRange& range) {
    ranges.push_back(range);
    return true;
  };
  must(diff_volumes(*store_, {"d", "a"}, {"d", "b"}, collect));
  ASSERT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges[0].offset, kChunkBytes);
  EXPECT_EQ(ranges[0].length, kChunkBytes);
  must(fork_disk(*store_, {"d", "b"}, "f", std::nullopt));
  ranges.clear();
  must(diff_volumes(*store_, {"f", ""}, {"d", ""}, collect));
  EXPECT_TRUE(ranges.empty());
}

TEST_F(LineageTest, RequestsBeyondTheEndChangeNothing) {
  auto disk = store_.disk("d");
  Bytes bytes(10, std::byte(1));
  EXPECT_FAULT(disk->write(kSizeBytes - 5, bytes), Fault::kInvalid);
  EXPECT_FAULT(disk->write(UINT64_MAX - 5, bytes), Fault::kInvalid);
  EXPECT_FAULT(disk->zero(kSizeBytes, 1), Fault::kInvalid);
  EXPECT_FAULT(disk->trim(0, UINT64_MAX), Fault::kInvalid);
  EXPECT_FAULT(disk->read(kSizeBytes, bytes), Fault::kInvalid);
  ASSERT_OK(disk->write(kSizeBytes, {}));
  Bytes all = contents(*disk);
  EXPECT_TRUE(is_all_zero(all));
}

TEST_F(LineageTest, TrimOfAnEmptyDiskMakesNothing) {
  auto disk = store_.disk("d");
  ASSERT_OK(disk->trim(0, kSizeBytes));
  ASSERT_OK(disk->zero(0, kSizeBytes));
  EXPECT_EQ(file_count("disks"), 0u);
}

}  // namespace
}  // namespace casdisk
