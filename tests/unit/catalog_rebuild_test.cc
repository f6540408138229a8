#include "index/catalog_rebuild.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"

namespace casdisk {
namespace {

HeadRecord head_of(uint64_t uid, uint8_t root) {
  HeadRecord head;
  head.uid = uid;
  head.size_bytes = kChunkBytes;
  head.root = Entry::of(made_up_id(root));
  return head;
}

class CatalogRebuild : public testing::Test {
 protected:
  ChunkId add_record(const std::string& disk, const std::string& name, int64_t time_ns,
                     uint8_t root) {
    CheckpointRecord record;
    record.disk = disk;
    record.name = name;
    record.time_ns = time_ns;
    record.size_bytes = kChunkBytes;
    record.root = Entry::of(made_up_id(root));
    Bytes encoded = encode(record);
    const ChunkId id = hash_of(encoded);
    remains_.records.emplace(id, std::move(encoded));
    return id;
  }
  RebuiltCatalog rebuild() { return rebuild_catalog(remains_); }
  static bool says(const RebuiltCatalog& rebuilt, const std::string& word) {
    return std::ranges::any_of(
        rebuilt.said, [&](const std::string& line) { return line.find(word) != line.npos; });
  }

  CatalogRemains remains_;
};

TEST_F(CatalogRebuild, NothingIsMadeOfNothing) {
  const RebuiltCatalog rebuilt = rebuild();
  EXPECT_TRUE(rebuilt.heads.empty());
  EXPECT_TRUE(rebuilt.said.empty());
  EXPECT_EQ(rebuilt.next_uid, 1u);
}

TEST_F(CatalogRebuild, DisksComeBackAtTheirNewestCheckpoint) {
  const ChunkId old = add_record("web", "a", 1, 1), newest = add_record("web", "b", 3, 2);
  const ChunkId other = add_record("db", "a", 2, 3);
  const RebuiltCatalog rebuilt = rebuild();
  ASSERT_EQ(rebuilt.heads.size(), 2u);
  const HeadRecord& web = rebuilt.heads.at("web");
  EXPECT_EQ(web.root, Entry::of(made_up_id(2)));
  EXPECT_EQ(web.parent, newest);
  EXPECT_NE(web.uid, rebuilt.heads.at("db").uid);
  EXPECT_EQ(rebuilt.names.at({web.uid, "a"}), old);
  EXPECT_EQ(rebuilt.names.at({web.uid, "b"}), newest);
  EXPECT_EQ(rebuilt.names.at({rebuilt.heads.at("db").uid, "a"}), other);
  EXPECT_GT(rebuilt.next_uid, std::max(web.uid, rebuilt.heads.at("db").uid));
}

TEST_F(CatalogRebuild, OfSeveralOfOneNameTheNewestKeepsIt) {
  const ChunkId first = add_record("web", "a", 1, 1), second = add_record("web", "a", 2, 2);
  const ChunkId third = add_record("web", "a", 3, 3);
  const RebuiltCatalog rebuilt = rebuild();
  const uint64_t uid = rebuilt.heads.at("web").uid;
  EXPECT_EQ(rebuilt.names.at({uid, "a"}), third);
  EXPECT_EQ(rebuilt.names.at({uid, "a.2"}), second);
  EXPECT_EQ(rebuilt.names.at({uid, "a.3"}), first);
  EXPECT_TRUE(says(rebuilt, "web@a.3"));
}

TEST_F(CatalogRebuild, WhatTheOldCatalogKnowsCompletelyIsNotAddedTo) {
  const ChunkId kept = add_record("web", "kept", 1, 1);
  add_record("web", "removed", 2, 2);
  add_record("gone", "a", 3, 3);
  remains_.heads.emplace("web", head_of(7, 9));
  remains_.names.emplace(std::pair(uint64_t(7), "kept"), kept);
  remains_.heads_are_complete = remains_.names_are_complete = true;
  const RebuiltCatalog rebuilt = rebuild();
  ASSERT_EQ(rebuilt.heads.size(), 1u);
  EXPECT_EQ(rebuilt.heads.at("web").root, Entry::of(made_up_id(9)));
  EXPECT_EQ(rebuilt.names.size(), 1u);
  EXPECT_EQ(rebuilt.records.size(), 3u);  // as links of lineages
  EXPECT_EQ(rebuilt.next_uid, 8u);
}

TEST_F(CatalogRebuild, AHeadWhoseRootIsNotThereGivesWayToTheNewestCheckpoint) {
  const ChunkId kept = add_record("web", "kept", 1, 1);
  remains_.heads.emplace("web", head_of(7, 99));
  remains_.names.emplace(std::pair(uint64_t(7), "kept"), kept);
  remains_.heads_are_complete = remains_.names_are_complete = true;
  remains_.directories = {7};
  remains_.is_readable = [](const Tree& tree) { return tree.root.id != made_up_id(99); };
  const RebuiltCatalog rebuilt = rebuild();
  EXPECT_EQ(rebuilt.heads.at("web").root, Entry::of(made_up_id(1)));
  EXPECT_EQ(rebuilt.heads.at("web").uid, 7u);
  EXPECT_EQ(rebuilt.names.at({7, "kept"}), kept);
  EXPECT_EQ(rebuilt.orphans, std::vector<uint64_t>{7});  // its unsealed writes fit nothing now
  EXPECT_TRUE(says(rebuilt, "cannot be believed"));
}

TEST_F(CatalogRebuild, ACheckpointWhoseTreeIsGoneIsALinkAndNoName) {
  add_record("web", "collected", 1, 99);
  add_record("web", "kept", 2, 1);
  remains_.is_readable = [](const Tree& tree) { return tree.root.id != made_up_id(99); };
  const RebuiltCatalog rebuilt = rebuild();
  EXPECT_EQ(rebuilt.names.size(), 1u);
  EXPECT_EQ(rebuilt.records.size(), 2u);
}

TEST_F(CatalogRebuild, ANoteBringsItsDiskBackWithItsGenerations) {
  add_record("web", "a", 1, 1);
  HeadNote note{"web", head_of(5, 2), std::nullopt};
  note.head.generations = {{3, kChunkBytes}};
  note.head.active = true;
  remains_.notes.emplace(5, note);
  remains_.directories = {5, 6};
  const RebuiltCatalog rebuilt = rebuild();
  EXPECT_EQ(rebuilt.heads.at("web").uid, 5u);
  EXPECT_EQ(rebuilt.heads.at("web").generations, note.head.generations);
  EXPECT_EQ(rebuilt.names.size(), 1u);
  EXPECT_EQ(rebuilt.orphans, std::vector<uint64_t>{6});
  EXPECT_EQ(rebuilt.next_uid, 7u);
}

TEST_F(CatalogRebuild, TwoDisksOfOneNameAreBothKept) {
  remains_.notes.emplace(5, HeadNote{"web", head_of(5, 2), std::nullopt});
  remains_.notes.emplace(6, HeadNote{"web", head_of(6, 3), std::nullopt});
  remains_.directories = {5, 6};
  const RebuiltCatalog rebuilt = rebuild();
  EXPECT_EQ(rebuilt.heads.size(), 2u);
  EXPECT_TRUE(rebuilt.heads.contains("web.2"));
  EXPECT_TRUE(rebuilt.orphans.empty());
}

TEST_F(CatalogRebuild, NamesThatAreNoneAreNotMade) {
  add_record("../web", "a", 1, 1);
  add_record("web", "a/b", 1, 1);
  EXPECT_TRUE(rebuild().heads.empty());
}

TEST(HeadNoteTest, IsItsBytesAndNothingElse) {
  HeadNote note{"web", head_of(5, 2), FallbackRecord{"/base", {1, 2, 3, 4}, Entry::absent()}};
  const Bytes bytes = encode(note);
  auto decoded = decode_head_note(bytes);
  ASSERT_OK(decoded);
  EXPECT_EQ(decoded.value().disk, "web");
  EXPECT_EQ(encode(decoded.value()), bytes);
  for (size_t i = 0; i < bytes.size(); i++) {
    Bytes wrong = bytes;
    wrong[i] ^= std::byte(4);
    EXPECT_FALSE(decode_head_note(wrong).ok()) << i;
    EXPECT_FALSE(decode_head_note(std::span(bytes).first(i)).ok()) << i;
  }
}

}  // namespace
}  // namespace casdisk
