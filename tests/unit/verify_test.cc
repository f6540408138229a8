#include "index/verify.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "index/checkpoint_view.h"
#include "index/lineage.h"
#include "tests/support/damage.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

// Disk `d` of 600 chunks, three leaves: a@1 has chunks 0 to 9 and 300; since then chunk 3 was
// written anew. Raw records, so that a test can tell where each byte lies.
class VerifyTest : public testing::Test {
 protected:
  void put(const Bytes& chunk) {
    const WriteSession session = must(store_->begin_session());
    must(store_->chunks().put(ObjectKind::kChunk, chunk));
    must(store_->chunks().sync());
  }
  static constexpr uint64_t kSizeBytes = 600 * kChunkBytes - 1000;

  VerifyTest() : store_(Codec::kNone) {
    must(create_disk(*store_, "d", CreateOptions{kSizeBytes, {}}));
    for (uint64_t chunk = 0; chunk < 10; chunk++) write(chunk, chunk);
    write(300, 300);
    first_ = must(checkpoint_disk(*store_, "d", {"1", {}, {}}, 2, no_progress));
    write(3, 33);
    second_ = must(checkpoint_disk(*store_, "d", {"2", {}, {}}, 2, no_progress));
    store_.reopen();
  }

  void write(uint64_t chunk, uint64_t seed) {
    must(store_.disk("d")->write(chunk * kChunkBytes, random_bytes(seed)));
  }
  static ChunkId id_of(uint64_t seed) { return hash_of(random_bytes(seed)); }

  VerifyReport verify(double sample_percent = 100) {
    VerifyOptions options;
    options.threads = 2;
    options.sample_percent = sample_percent;
    return must(verify_store(*store_, options));
  }
  VerifyReport verify(const VolumeName& name) {
    VerifyOptions options;
    options.threads = 2;
    return must(verify_volume(*store_, name, options));
  }

  static std::vector<ByteRange> chunks(uint64_t first, uint64_t count) {
    return {{first * kChunkBytes, count * kChunkBytes}};
  }
  static std::vector<ByteRange> ranges_of(const VerifyReport& report, const std::string& name) {
    for (const VolumeDamage& volume : report.volumes) {
      if (volume.name == name) return volume.ranges.kept();
    }
    return {};
  }
  Entry root_of(const ChunkId& checkpoint) {
    return must(store_->catalog().checkpoint(checkpoint)).root;
  }
  // The page of the tree's second level that stands for the chunks from 256 * slot on.
  Entry leaf_of(const ChunkId& checkpoint, uint32_t slot) {
    return must(page_under(store_->chunks(), root_of(checkpoint), 1)).entries[slot];
  }

  TestStore store_;
  ChunkId first_, second_;
};

TEST_F(VerifyTest, AWholeStoreIsClean) {
  const VerifyReport report = verify();
  EXPECT_TRUE(report.is_clean());
  EXPECT_EQ(report.volume_count, 3u);
  EXPECT_EQ(report.page_count, 5u);  // two roots, their first leaves, the second one shared
  EXPECT_EQ(report.record_count, 2u);
  EXPECT_EQ(report.chunk_count, 19u);  // 12 chunks, 5 pages, 2 records
  EXPECT_EQ(report.unnamed_count, 0u);
  EXPECT_TRUE(verify({"d", "1"}).is_clean());
  EXPECT_EQ(verify({"d", "1"}).chunk_count, 11u);
  EXPECT_EQ(verify({"d", ""}).volume_count, 3u);
}

TEST_F(VerifyTest, ADamagedChunkIsNamedWithItsRangesAndOwners) {
  damage_payload(*store_, id_of(3));
  const VerifyReport report = verify();
  EXPECT_FALSE(report.is_clean());
  ASSERT_EQ(report.objects.size(), 1u);
  EXPECT_EQ(report.objects[0].id, id_of(3));
  EXPECT_EQ(report.objects[0].kind, ObjectKind::kChunk);
  EXPECT_EQ(report.objects[0].location, location_of(*store_, id_of(3)));
  EXPECT_EQ(report.objects[0].use_count, 1u);
  ASSERT_EQ(report.volumes.size(), 1u);
  EXPECT_EQ(ranges_of(report, "d@1"), chunks(3, 1));
}

TEST_F(VerifyTest, SharedDamageIsSaidOfAllThatShareIt) {
  damage_payload(*store_, id_of(4));
  damage_header(*store_, id_of(5));
  damage_payload(*store_, id_of(300));
  const VerifyReport report = verify();
  EXPECT_EQ(report.object_count, 3u);
  for (const char* name : {"d", "d@1", "d@2"}) {
    const std::vector<ByteRange> wanted = {{4 * kChunkBytes, 2 * kChunkBytes},
                                           {300 * kChunkBytes, kChunkBytes}};
    EXPECT_EQ(ranges_of(report, name), wanted) << name;
  }
  EXPECT_EQ(verify({"d", "1"}).volumes.size(), 1u);
}

TEST_F(VerifyTest, ADamagedPageStandsForAllBelowIt) {
  damage_payload(*store_, leaf_of(second_, 1).id, 10);  // shared by all
  store_.reopen();
  const VerifyReport report = verify();
  ASSERT_EQ(report.objects.size(), 1u);
  EXPECT_EQ(report.objects[0].kind, ObjectKind::kPage);
  for (const char* name : {"d", "d@1", "d@2"}) {
    EXPECT_EQ(ranges_of(report, name), chunks(256, 256)) << name;
  }
  EXPECT_EQ(verify({"d", "2"}).object_count, 1u);
}

TEST_F(VerifyTest, ADamagedRootIsTheWholeDisk) {
  damage_payload(*store_, root_of(first_).id);
  store_.reopen();
  const VerifyReport report = verify();
  const std::vector<ByteRange> all = {{0, kSizeBytes}};
  EXPECT_EQ(ranges_of(report, "d@1"), all);
  EXPECT_EQ(report.volumes.size(), 1u);
}

TEST_F(VerifyTest, ADamagedCheckpointRecordIsNamed) {
  damage_payload(*store_, first_, 5);
  const VerifyReport report = verify();
  ASSERT_EQ(report.objects.size(), 1u);
  EXPECT_EQ(report.objects[0].kind, ObjectKind::kCheckpoint);
  ASSERT_EQ(report.objects[0].uses.size(), 1u);
  EXPECT_EQ(report.objects[0].uses[0].volume, "d@1");
  EXPECT_TRUE(report.volumes.empty());  // no byte is lost
}

TEST_F(VerifyTest, TwoRecordsThatChangedPlacesAreBothFound) {
  const PackLocation a = location_of(*store_, id_of(6)), b = location_of(*store_, id_of(8));
  ASSERT_EQ(a.pack, b.pack);
  ASSERT_EQ(a.record_bytes, b.record_bytes);
  Bytes pack = read_file(pack_path(*store_, a.pack));
  std::swap_ranges(pack.begin() + ptrdiff_t(a.offset),
                   pack.begin() + ptrdiff_t(a.offset + a.record_bytes),
                   pack.begin() + ptrdiff_t(b.offset));
  write_file(pack_path(*store_, a.pack), pack);
  const VerifyReport report = verify();
  EXPECT_EQ(report.object_count, 2u);
  const std::vector<ByteRange> wanted = {{6 * kChunkBytes, kChunkBytes},
                                         {8 * kChunkBytes, kChunkBytes}};
  EXPECT_EQ(ranges_of(report, "d"), wanted);
}

TEST_F(VerifyTest, APackThatIsCutShortLosesWhatLayBehindTheCut) {
  const PackLocation cut = location_of(*store_, id_of(7));
  std::vector<ChunkId> behind;
  for (uint64_t seed : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 300}) {
    const PackLocation location = location_of(*store_, id_of(seed));
    if (location.pack == cut.pack && location.offset >= cut.offset) behind.push_back(id_of(seed));
  }
  std::filesystem::resize_file(pack_path(*store_, cut.pack), cut.offset + 1000);
  const VerifyReport report = verify();
  for (const ChunkId& id : behind) {
    EXPECT_TRUE(std::ranges::any_of(report.objects, [&](const BadObject& object) {
      return object.id == id;
    })) << to_hex(id);
  }
  EXPECT_FALSE(ranges_of(report, "d@1").empty());
}

TEST_F(VerifyTest, APackThatIsGoneIsAllThatItHeld) {
  for (const auto& pack : std::filesystem::directory_iterator(store_.path() + "/packs")) {
    std::filesystem::remove(pack);
  }
  store_.reopen();
  const VerifyReport report = verify();
  EXPECT_EQ(report.object_count, 19u);
  const std::vector<ByteRange> all = {{0, kSizeBytes}};
  for (const char* name : {"d", "d@1", "d@2"}) EXPECT_EQ(ranges_of(report, name), all) << name;
}

TEST_F(VerifyTest, DamageThatNothingNeedsIsSaidAndCostsNoDiskAnything) {
  put(random_bytes(1000));
  damage_payload(*store_, id_of(1000));
  VerifyReport report = verify();
  ASSERT_EQ(report.objects.size(), 1u);
  EXPECT_EQ(report.objects[0].use_count, 0u);
  EXPECT_TRUE(report.volumes.empty());
  EXPECT_TRUE(verify({"d", ""}).is_clean());
}

TEST_F(VerifyTest, WhatWasFoundDamagedIsStoredAnewByWhoPutsItAgain) {
  damage_payload(*store_, id_of(4));
  EXPECT_FALSE(verify().is_clean());
  EXPECT_TRUE(must(store_->local_chunks().locations().lookup(id_of(4)))->damaged);
  put(random_bytes(4));
  const VerifyReport report = verify();
  EXPECT_TRUE(report.is_clean());
  EXPECT_EQ(report.unnamed_count, 1u);  // the damaged copy is still there, and nothing needs it
}

TEST_F(VerifyTest, AnEntryThatNamesAnotherRecordIsDamage) {
  must(store_->local_chunks().locations().enter(
      std::vector<LocatedObject>{{id_of(1), location_of(*store_, id_of(2))}}));
  const VerifyReport report = verify();
  ASSERT_EQ(report.objects.size(), 1u);
  EXPECT_EQ(report.objects[0].id, id_of(1));
  EXPECT_EQ(ranges_of(report, "d"), chunks(1, 1));
}

TEST_F(VerifyTest, ASampleReadsAllPagesAndAShareOfTheChunks) {
  const VerifyReport half = verify(50);
  EXPECT_TRUE(half.is_sample);
  EXPECT_EQ(half.page_count, 5u);
  EXPECT_EQ(half.chunk_total, 21u);  // 10 and 10 in the first leaves, one in the second
  EXPECT_LT(half.chunk_count, half.chunk_total);
  damage_payload(*store_, leaf_of(first_, 0).id);
  store_.reopen();
  EXPECT_FALSE(verify(0.001).is_clean());
}

TEST_F(VerifyTest, EveryChunkIsInTheSampleOfSomeSeed) {
  damage_payload(*store_, id_of(4));
  uint64_t found_count = 0;
  for (uint64_t seed = 0; seed < 64; seed++) {
    VerifyOptions options;
    options.sample_percent = 25;
    options.sample_seed = seed * 0x123456789ABCDEF;
    found_count += !must(verify_store(*store_, options)).is_clean();
  }
  EXPECT_GT(found_count, 4u);
  EXPECT_LT(found_count, 32u);
}

TEST_F(VerifyTest, WhatIsNotSealedIsLookedAt) {
  write(20, 20);
  EXPECT_TRUE(verify().is_clean());
  for (const auto& file : std::filesystem::recursive_directory_iterator(store_.path() + "/disks")) {
    if (file.path().extension() == ".overlay") std::filesystem::resize_file(file.path(), 4096);
  }
  const VerifyReport report = verify();
  EXPECT_FALSE(report.is_clean());
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_NE(report.problems[0].find(".overlay"), std::string::npos);
}

TEST_F(VerifyTest, ADiskThatSomebodyHoldsIsLeftToThem) {
  write(20, 20);
  auto disk = store_.disk("d");
  const VerifyReport report = verify();
  EXPECT_TRUE(report.is_clean());
  ASSERT_EQ(report.notes.size(), 1u);
}

TEST_F(VerifyTest, FallbacksAreCheckedForWhatOnlyTheyHave) {
  TemporaryDirectory directory;
  const std::string path = directory / "base";
  write_file(path, random_bytes(700, 10 * kChunkBytes));
  must(create_disk(*store_, "over", CreateOptions{std::nullopt, path}));
  must(store_.disk("over")->write(2 * kChunkBytes, random_bytes(8)));
  must(checkpoint_disk(*store_, "over", {"1", {}, {}}, 2, no_progress));
  VerifyReport report = verify();
  EXPECT_TRUE(report.is_clean());
  ASSERT_EQ(report.fallbacks.size(), 1u);
  EXPECT_EQ(report.fallbacks[0].not_ingested.size(), 2u);

  std::filesystem::rename(path, path + ".away");
  store_.reopen();
  report = verify();
  EXPECT_FALSE(report.is_clean());
  ASSERT_TRUE(report.fallbacks[0].failure.has_value());
  const std::vector<ByteRange> wanted = {{0, 2 * kChunkBytes}, {3 * kChunkBytes, 7 * kChunkBytes}};
  ASSERT_EQ(report.fallbacks[0].not_ingested.size(), 2u);
  EXPECT_EQ(report.fallbacks[0].not_ingested[0].ranges.kept(), wanted);

  std::filesystem::rename(path + ".away", path);
  must(ingest_disk(*store_, "over", 2, no_progress));
  std::filesystem::remove(path);
  store_.reopen();
  EXPECT_TRUE(verify().is_clean());
  damage_payload(*store_, id_of(700));
  report = verify();
  const std::vector<ByteRange> first_chunk = {{0, kChunkBytes}};
  EXPECT_EQ(ranges_of(report, "over"), first_chunk);
  EXPECT_EQ(ranges_of(report, "over@1"), first_chunk);
}

}  // namespace
}  // namespace casdisk
