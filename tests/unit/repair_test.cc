#include "index/repair.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "cas/os/posix_file_system.h"
#include "index/file_image.h"
#include "index/import_image.h"
#include "index/lineage.h"
#include "index/losses.h"
#include "tests/support/damage.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr uint64_t kChunkCount = 300;  // two leaves and a root; most chunks are zero

class RepairTest : public testing::Test {
 protected:
  RepairTest() : store_(Codec::kNone), image_(directory_ / "image") {
    for (uint64_t chunk : {5, 7, 280, 290}) {
      std::ranges::copy(random_bytes(chunk), bytes_.begin() + ptrdiff_t(chunk * kChunkBytes));
    }
    write_file(image_, bytes_);
    import("d");
    store_.reopen();
  }

  void import(const std::string& name) {
    auto source = must(FileImage::open(file_system_, image_));
    must(import_image(*store_, *source, name, 2, [](uint64_t) { return true; }));
  }
  ChunkId chunk(uint64_t number) {
    return hash_of(std::span(bytes_).subspan(number * kChunkBytes, kChunkBytes));
  }
  HeadRecord head() { return must(store_->catalog().head("d")); }
  ChunkId leaf(uint32_t slot) {
    return must(page_under(store_->chunks(), head().root, 1)).entries[slot].id;
  }

  RepairReport run(bool with_image = false, bool dry_run = false) {
    RepairOptions options;
    options.threads = 2;
    options.dry_run = dry_run;
    if (with_image) {
      options.open_image = [this]() -> Result<std::unique_ptr<ImageSource>> {
        TRY_ASSIGN(auto image, FileImage::open(file_system_, image_));
        return std::unique_ptr<ImageSource>(std::move(image));
      };
    }
    return must(repair(*store_, std::nullopt, options));
  }
  void expect_whole() {
    store_.reopen();
    EXPECT_EQ(contents(*store_.disk("d")), bytes_);
    EXPECT_TRUE(must(verify_store(*store_, {})).is_clean());
  }
  std::string losses() { return must(noted_losses(*store_)).value_or(""); }

  Bytes bytes_ = Bytes(kChunkCount * kChunkBytes);  // of the image
  TemporaryDirectory directory_;
  PosixFileSystem file_system_;
  TestStore store_;
  std::string image_;
};

TEST_F(RepairTest, AStoreThatIsWholeIsLeftAlone) {
  const RepairReport report = run(true);
  EXPECT_TRUE(report.left.is_clean());
  EXPECT_EQ(report.mended_count(), 0u);
  EXPECT_EQ(store_->local_chunks().counters().new_object_count, 0u);
}

TEST_F(RepairTest, TakesADuplicateFromAnotherPack) {
  // Two copies: the first looks damaged to the second import, and is whole again afterwards.
  const PackLocation first = location_of(*store_, chunk(5));
  damage_payload(*store_, chunk(5));
  EXPECT_FALSE(must(verify_store(*store_, {})).is_clean());
  import("again");
  flip_bit(pack_path(*store_, first.pack),
           first.offset + kRecordHeaderBytes + 4 * kBlocksPerChunk + 100);
  damage_payload(*store_, chunk(5));  // the second copy, which the table names now
  store_.reopen();
  const RepairReport report = run();
  EXPECT_EQ(report.from_packs, 1u);
  EXPECT_TRUE(report.left.is_clean());
  expect_whole();
}

TEST_F(RepairTest, WithoutACopyTheLossIsNotedAndReadingFails) {
  damage_payload(*store_, chunk(5));
  RepairReport report = run();
  EXPECT_FALSE(report.left.is_clean());
  EXPECT_EQ(report.mended_count(), 0u);
  EXPECT_EQ(losses(), "volume d@import 65536 bytes in 1 ranges");
  Bytes bytes(kChunkBytes);
  EXPECT_FAULT(store_.disk("d")->read(5 * kChunkBytes, bytes), Fault::kDamaged);
  report = run();  // says the same again
  EXPECT_EQ(report.damaged_count, 1u);
  report = run(true);
  EXPECT_EQ(report.from_image, 1u);
  EXPECT_EQ(losses(), "");
  expect_whole();
}

TEST_F(RepairTest, ADryRunSaysWhatCouldBeMendedAndStoresNothing) {
  damage_payload(*store_, chunk(5));
  damage_payload(*store_, leaf(1));
  store_.reopen();
  const RepairReport report = run(true, true);
  EXPECT_EQ(report.from_image, 2u);
  EXPECT_FALSE(report.left.is_clean());
  EXPECT_EQ(store_->local_chunks().counters().new_object_count, 0u);
  EXPECT_EQ(losses(), "");
}

TEST_F(RepairTest, PagesComeBackFromAnImageAndThenWhatTheyName) {
  const ChunkId below = chunk(290);
  damage_payload(*store_, leaf(1));
  damage_payload(*store_, below);
  damage_payload(*store_, head().root.id);
  store_.reopen();
  const RepairReport report = run(true);
  EXPECT_TRUE(report.left.is_clean());
  EXPECT_EQ(report.mended_count(), 2u);  // the leaf came with the root, before it was missed
  expect_whole();
}

TEST_F(RepairTest, AnotherImportOfTheSameImageHeals) {
  damage_payload(*store_, chunk(5));
  damage_header(*store_, chunk(280));
  EXPECT_EQ(must(verify_store(*store_, {})).object_count, 2u);
  import("again");
  expect_whole();
}

TEST_F(RepairTest, TakesChunksFromAFallbackFileThatIsAsItWas) {
  must(create_disk(*store_, "over", CreateOptions{std::nullopt, image_}));
  must(ingest_disk(*store_, "over", 2, no_progress));
  damage_payload(*store_, chunk(5));
  store_.reopen();
  EXPECT_EQ(run(false, true).from_fallbacks, 1u);
  const RepairReport report = run();
  EXPECT_EQ(report.from_fallbacks, 1u);
  EXPECT_TRUE(report.left.is_clean());
  expect_whole();
}

TEST_F(RepairTest, ACheckpointsRecordComesBackFromTheCatalog) {
  damage_payload(*store_, *head().parent, 5);
  const RepairReport report = run();
  EXPECT_EQ(report.from_catalog, 1u);
  expect_whole();
}

TEST_F(RepairTest, WhatNothingNeedsIsDropped) {
  {
    const auto session = must(store_->begin_session());
    must(store_->chunks().put(ObjectKind::kChunk, random_bytes(99)));
    must(store_->chunks().sync());
  }
  damage_payload(*store_, hash_of(random_bytes(99)));
  const RepairReport report = run();
  EXPECT_EQ(report.dropped_count, 1u);
  EXPECT_TRUE(report.left.is_clean());
  EXPECT_TRUE(must(verify_store(*store_, {})).is_clean());
}

TEST_F(RepairTest, ARemovedPackComesBackFromTheImage) {
  for (const auto& pack : std::filesystem::directory_iterator(store_.path() + "/packs")) {
    std::filesystem::remove(pack);
  }
  store_.reopen();
  const RepairReport report = run(true);
  EXPECT_TRUE(report.left.is_clean()) << report.left.object_count;
  EXPECT_EQ(report.from_catalog, 1u);
  expect_whole();
}

}  // namespace
}  // namespace casdisk
