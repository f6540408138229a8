#include "index/tree.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/support/memory_store.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

Entry entry_of(uint64_t value) {
  if (value % 5 == 0) return Entry::absent();
  if (value % 5 == 1) return Entry::zero();
  return Entry::of(hash_of(ByteWriter().number(value).take()));
}

std::map<uint64_t, Entry> entries_of(ChunkStore& store, const Tree& tree) {
  std::map<uint64_t, Entry> entries;
  must(walk(store, tree, 0, tree.chunk_count, [&](const EntryRun& run) {
    for (uint64_t i = 0; i < run.count && run.entry.state != EntryState::kAbsent; i++) {
      entries[run.first + i] = run.entry;
    }
    return true;
  }));
  return entries;
}

std::vector<Change> changes_of(const std::map<uint64_t, Entry>& entries) {
  std::vector<Change> changes;
  for (const auto& [chunk, entry] : entries) changes.push_back({chunk, entry});
  return changes;
}

TEST(Tree, LevelsFollowTheChunks) {
  EXPECT_EQ(levels_for(1), 1u);
  EXPECT_EQ(levels_for(256), 1u);
  EXPECT_EQ(levels_for(257), 2u);
  EXPECT_EQ(levels_for(65536), 2u);
  EXPECT_EQ(levels_for((uint64_t(1) << 40) / kChunkBytes), 3u);  // 1 TiB
  EXPECT_LE(levels_for(kMaxDiskBytes / kChunkBytes), kMaxLevels);
}

TEST(Tree, EditsLookupsAndRunsAgreeWithAMap) {
  std::mt19937_64 random(3);
  for (uint64_t chunk_count : {1u, 200u, 256u, 257u, 70'000u}) {
    MemoryStore store;
    Tree tree{Entry::absent(), chunk_count};
    std::map<uint64_t, Entry> model;
    for (int round = 0; round < 12; round++) {
      std::map<uint64_t, Entry> changes;
      for (int i = 0; i < 60; i++) changes[random() % chunk_count] = entry_of(random() % 50);
      tree = must(edit(store, tree, changes_of(changes)));
      for (const auto& [chunk, entry] : changes) {
        model.erase(chunk);
        if (entry.state != EntryState::kAbsent) model[chunk] = entry;
      }
      ASSERT_EQ(entries_of(store, tree), model);
    }
    for (const auto& [chunk, entry] : model) ASSERT_EQ(must(lookup(store, tree, chunk)), entry);
  }
}

TEST(Tree, EqualContentHasOneRootHoweverItCameAbout) {
  std::mt19937_64 random(5);
  MemoryStore store;
  std::map<uint64_t, Entry> entries;
  for (int i = 0; i < 500; i++) entries[random() % 3000] = entry_of(random());
  std::erase_if(entries, [](const auto& item) { return item.second == Entry::absent(); });
  Tree at_once = must(edit(store, Tree{Entry::absent(), 3000}, changes_of(entries)));
  Tree bit_by_bit{Entry::absent(), 10};
  for (const auto& [chunk, entry] : entries) {
    if (chunk >= bit_by_bit.chunk_count) bit_by_bit = must(resize(store, bit_by_bit, chunk + 1));
    Change detour{chunk, Entry::of(hash_of({}))};
    bit_by_bit = must(edit(store, bit_by_bit, std::span(&detour, 1)));
    Change change{chunk, entry};
    bit_by_bit = must(edit(store, bit_by_bit, std::span(&change, 1)));
  }
  bit_by_bit = must(resize(store, bit_by_bit, 3000));
  EXPECT_EQ(at_once, bit_by_bit);
}

TEST(Tree, UniformPagesCollapseTheRootIncluded) {
  MemoryStore store;
  Tree tree{Entry::absent(), 65536};
  std::vector<Change> zeros, none;
  for (uint64_t chunk = 0; chunk < 65536; chunk++) {
    zeros.push_back({chunk, Entry::zero()});
    none.push_back({chunk, Entry::absent()});
  }
  Tree zeroed = must(edit(store, tree, zeros));
  EXPECT_EQ(zeroed.root, Entry::zero());
  EXPECT_EQ(must(edit(store, zeroed, none)).root, Entry::absent());
}

TEST(Tree, AnEditWritesOnlyTheChangedPaths) {
  MemoryStore store;
  std::vector<Change> changes;
  for (uint64_t chunk = 0; chunk < 65536; chunk += 7) {
    changes.push_back({chunk, Entry::of(hash_of(ByteWriter().number(chunk).take()))});
  }
  Tree tree = must(edit(store, Tree{Entry::absent(), 65536}, changes));
  size_t before = store.object_count();
  Change change{40'000, Entry::of(hash_of({}))};
  must(edit(store, tree, std::span(&change, 1)));
  EXPECT_EQ(store.object_count() - before, 2u);  // a leaf and the root
}

TEST(Tree, ResizeDropsWhatIsBeyondAndKeepsTheRest) {
  std::mt19937_64 random(9);
  MemoryStore store;
  for (int round = 0; round < 40; round++) {
    uint64_t from = 1 + random() % 70'000, to = 1 + random() % 70'000;
    std::map<uint64_t, Entry> entries;
    for (int i = 0; i < 100; i++) entries[random() % from] = entry_of(2 + random() % 3);
    Tree tree = must(edit(store, Tree{Entry::absent(), from}, changes_of(entries)));
    Tree resized = must(resize(store, tree, to));
    std::erase_if(entries, [&](const auto& item) { return item.first >= to; });
    ASSERT_EQ(
        entries_of(store, resized),
        entries_of(store, Tree(must(edit(store, Tree{Entry::absent(), to}, changes_of(entries))))));
    ASSERT_EQ(resized, must(edit(store, Tree{Entry::absent(), to}, changes_of(entries))));
  }
}

TEST(Tree, DiffFindsWhatDiffersAndNothingElse) {
  std::mt19937_64 random(13);
  MemoryStore store;
  std::map<uint64_t, Entry> entries;
  for (int i = 0; i < 3000; i++) entries[random() % 60'000] = entry_of(random());
  Tree before = must(edit(store, Tree{Entry::absent(), 60'000}, changes_of(entries)));
  std::map<uint64_t, Entry> changed;
  for (int i = 0; i < 20; i++)
    changed[random() % 60'000] = entry_of(2 + 5 * (1000 + random() % 99));
  Tree after = must(edit(store, before, changes_of(changed)));
  std::map<uint64_t, Entry> found;
  must(diff(store, before, after, [&](const Difference& difference) {
    EXPECT_NE(difference.before, difference.after);
    found[difference.chunk] = difference.after;
    return true;
  }));
  EXPECT_EQ(found, changed);
}

TEST(Tree, AMissingPageIsNamed) {
  MemoryStore store;
  Change change{300, Entry::of(hash_of({}))};
  Tree tree = must(edit(store, Tree{Entry::absent(), 1000}, std::span(&change, 1)));
  store.remove(tree.root.id);
  auto found = lookup(store, tree, 300);
  ASSERT_FAULT(found, Fault::kDamaged);
  EXPECT_NE(found.error().context.find(to_hex(tree.root.id)), std::string::npos);
}

TEST(Tree, AChunkInThePlaceOfAPageIsDamage) {
  MemoryStore store;
  ChunkId id = must(store.put(ObjectKind::kChunk, Bytes(kChunkBytes, std::byte(1))));
  auto found = lookup(store, Tree{Entry::of(id), 1000}, 0);
  ASSERT_FAULT(found, Fault::kDamaged);
  EXPECT_NE(found.error().context.find(to_hex(id)), std::string::npos);
}

}  // namespace
}  // namespace casdisk
