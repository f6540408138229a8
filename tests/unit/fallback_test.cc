#include "index/fallback.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "index/catalog_sweep.h"
#include "index/checkpoint_view.h"
#include "index/lineage.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

class FallbackTest : public testing::Test {
 protected:
  FallbackTest() {
    path_ = directory_.path() + "/base.img";
    base_ = random_bytes(1, 5 * kChunkBytes + 1234);
    std::fill_n(base_.begin() + kChunkBytes, kChunkBytes, std::byte(0));
    save(base_);
    must(create_disk(*store_, "d", CreateOptions{std::nullopt, path_}));
  }

  void save(const Bytes& bytes) {
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
  }
  FallbackId fallback_id() { return must(store_->catalog().head("d")).fallback->file; }

  // Waits for the background thread to have entered the whole file.
  void wait_for_ingestion() {
    auto fallback = must(store_->fallback(fallback_id()));
    for (int i = 0; i < 1000; i++) {
      if (fully_ingested(*fallback)) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    FAIL() << "not ingested after 10 s";
  }
  bool fully_ingested(const Fallback& fallback) {
    bool whole = true;
    must(walk(store_->chunks(), fallback.table().tree, 0, fallback.table().tree.chunk_count,
              [&](const EntryRun& run) {
                whole = whole && run.entry.state != EntryState::kAbsent;
                return true;
              }));
    return whole;
  }

  TemporaryDirectory directory_;
  std::string path_;
  Bytes base_;
  TestStore store_;
};

TEST_F(FallbackTest, ReadsAnswerFromTheFileAndTakeItIn) {
  auto disk = store_.disk("d");
  EXPECT_EQ(disk->size_bytes(), base_.size());
  EXPECT_EQ(contents(*disk), base_);
  wait_for_ingestion();
  std::filesystem::remove(path_);
  disk.reset();
  store_.reopen();  // forgets the open file; the table was committed
  EXPECT_EQ(contents(*store_.disk("d")), base_);
}

// The view of a checkpoint that was removed, and whose fallback a collection has swept, reads on.
TEST_F(FallbackTest, ASweptOneTakesNothingInAndSaysNothing) {
  must(checkpoint_disk(*store_, "d", {"c", {}, {}}, 1, no_progress));
  std::atomic<int> lines = 0;
  StoreOptions options;
  options.log = [&](const std::string&) { lines++; };
  auto other = must(Store::open(store_.path(), options));
  auto view = must(CheckpointView::open(*other, {"d", "c"}));
  must(remove_disk(*store_, "d"));
  EXPECT_EQ(must(sweep_catalog(*store_)), 2u);
  for (int i = 0; i < 2; i++) {
    EXPECT_EQ(contents(*view), base_);
    std::this_thread::sleep_for(std::chrono::milliseconds(400));  // two commits' time
  }
  EXPECT_EQ(lines, 0);
}

TEST_F(FallbackTest, AVanishedFileIsAnErrorThatNamesIt) {
  std::filesystem::remove(path_);
  auto disk = store_.disk("d");
  Bytes bytes(100);
  auto read = disk->read(0, bytes);
  ASSERT_FAULT(read, Fault::kIo);
  EXPECT_NE(read.error().context.find(path_), std::string::npos);
}

TEST_F(FallbackTest, AnEditedFileIsAnErrorNotOtherBytes) {
  auto disk = store_.disk("d");
  Bytes bytes(100);
  ASSERT_OK(disk->read(0, bytes));
  Bytes edited = base_;
  edited[3 * kChunkBytes] ^= std::byte(1);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // another mtime
  save(edited);
  auto read = disk->read(3 * kChunkBytes, bytes);
  ASSERT_FAULT(read, Fault::kDamaged);
  EXPECT_NE(read.error().context.find(path_), std::string::npos);
}

TEST_F(FallbackTest, ATornWriteOverAVanishedFileFailsAndWritesNothing) {
  std::filesystem::remove(path_);
  auto disk = store_.disk("d");
  Bytes bytes(10, std::byte(1));
  EXPECT_FAULT(disk->write(5, bytes), Fault::kIo);
  Bytes whole(kBlockBytes, std::byte(2));
  ASSERT_OK(disk->write(0, whole));  // whole blocks need nothing from below
  Bytes back(kBlockBytes);
  ASSERT_OK(disk->read(0, back));
  EXPECT_EQ(back, whole);
}

TEST_F(FallbackTest, WhatAnotherProcessTookInNeedsNoFile) {
  StoreOptions options;
  options.io = IoChoice::kPosix;
  auto server = must(Store::open(store_.path(), options));
  auto disk = must(Disk::open(*server, "d", {}));
  must(ingest_disk(*store_, "d", 2, no_progress));
  std::filesystem::remove(path_);
  EXPECT_EQ(contents(*disk), base_);
}

TEST_F(FallbackTest, AnEmptyFileIsNoFallback) {
  std::string empty = directory_.path() + "/empty";
  std::ofstream{empty};
  EXPECT_FAULT(create_disk(*store_, "e", CreateOptions{kChunkBytes, empty}), Fault::kInvalid);
}

TEST_F(FallbackTest, OneTableServesAllDisksOfTheFile) {
  must(create_disk(*store_, "e", CreateOptions{std::nullopt, path_}));
  must(fork_disk(*store_, {"d", ""}, "f", std::nullopt));
  EXPECT_EQ(must(store_->catalog().head("e")).fallback->file, fallback_id());
  EXPECT_EQ(must(store_->catalog().head("f")).fallback->file, fallback_id());
  must(ingest_disk(*store_, "d", 2, no_progress));
  std::filesystem::remove(path_);
  EXPECT_EQ(contents(*store_.disk("e")), base_);
  EXPECT_EQ(contents(*store_.disk("f")), base_);
}

TEST_F(FallbackTest, ZerosOverAFallbackStayZerosThroughSealAndShrink) {
  auto disk = store_.disk("d");
  ASSERT_OK(disk->zero(0, kChunkBytes * 3));
  must(disk->seal_all(2, no_progress));
  Bytes expected = base_;
  std::fill_n(expected.begin(), 3 * kChunkBytes, std::byte(0));
  EXPECT_EQ(contents(*disk), expected);
  disk.reset();
  must(resize_disk(*store_, "d", 4 * kChunkBytes + 7, 2, no_progress));
  must(resize_disk(*store_, "d", 6 * kChunkBytes, 2, no_progress));
  std::fill(expected.begin() + 4 * kChunkBytes + 7, expected.end(), std::byte(0));
  expected.resize(6 * kChunkBytes);
  EXPECT_EQ(contents(*store_.disk("d")), expected);
}

TEST_F(FallbackTest, ADiskSmallerThanItsFileEndsWhereItEnds) {
  must(create_disk(*store_, "s", CreateOptions{kChunkBytes / 2 + 1, path_}));
  EXPECT_EQ(contents(*store_.disk("s")), Bytes(base_.begin(), base_.begin() + kChunkBytes / 2 + 1));
  must(resize_disk(*store_, "s", kChunkBytes, 2, no_progress));
  Bytes grown = contents(*store_.disk("s"));
  EXPECT_TRUE(is_all_zero(std::span(grown).subspan(kChunkBytes / 2 + 1)));
}

TEST_F(FallbackTest, ASealThatCannotReadItsBaseKeepsTheChunkDirty) {
  auto disk = store_.disk("d");
  ASSERT_OK(disk->write(kBlockBytes, Bytes(kBlockBytes, std::byte(9))));  // needs the base at seal
  std::filesystem::remove(path_);
  disk.reset();
  store_.reopen();
  disk = store_.disk("d");
  ASSERT_OK(disk->cut({"c", {}, {}}));
  auto sealed = disk->seal(2, no_progress);
  ASSERT_FALSE(sealed.ok());
  EXPECT_NE(sealed.error().context.find("chunk 0"), std::string::npos) << sealed.error().context;
  save(base_);  // another inode: still refused
  Bytes block(kBlockBytes);
  ASSERT_OK(disk->read(kBlockBytes, block));
  EXPECT_EQ(block, Bytes(kBlockBytes, std::byte(9)));
}

}  // namespace
}  // namespace casdisk
