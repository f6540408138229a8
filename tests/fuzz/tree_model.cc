// Trees under edits and resizes that the input chooses, against a plain map; and that equal content
// has one root, whichever way it came about.
#include <map>

#include "index/tree.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/memory_store.h"

namespace casdisk {
namespace {

constexpr uint64_t kCounts[] = {1, 2, 255, 256, 257, 65535, 65536, 65537, uint64_t(1) << 24};
constexpr size_t kMaxSteps = 6;
constexpr size_t kMaxChanges = 12;

using Model = std::map<uint64_t, Entry>;  // chunks that are not absent

Entry entry_from(FuzzInput& input) {
  const uint64_t choice = input.below(6);
  if (choice == 0) return Entry::absent();
  if (choice == 1) return Entry::zero();
  ChunkId id;
  id.bytes.fill(std::byte(choice));
  return Entry::of(id);
}

// Near each other, or near the ends of pages, or anywhere.
uint64_t chunk_from(FuzzInput& input, uint64_t chunk_count) {
  const uint64_t near = input.below(256);
  const uint64_t base = kCounts[input.below(std::size(kCounts))];
  return (input.below(2) == 0 ? near : base + near - 128) % chunk_count;
}

template <typename T>
T must(Result<T> result) {
  CHECK(result.ok());
  return std::move(result).value();
}

Tree edited(ChunkStore& store, const Tree& tree, FuzzInput& input, Model& model) {
  Model wanted;
  for (uint64_t left = input.below(kMaxChanges); left > 0; left--) {
    const uint64_t first = chunk_from(input, tree.chunk_count);
    const uint64_t run = input.below(16) == 0 ? 260 : 1;  // now and then a whole page and more
    const Entry entry = entry_from(input);
    for (uint64_t chunk = first; chunk < std::min(first + run, tree.chunk_count); chunk++) {
      wanted[chunk] = entry;
    }
  }
  std::vector<Change> changes;
  for (const auto& [chunk, entry] : wanted) {
    changes.push_back({chunk, entry});
    if (entry == Entry::absent()) {
      model.erase(chunk);
    } else {
      model[chunk] = entry;
    }
  }
  return must(edit(store, tree, changes));
}

void check_walk(ChunkStore& store, const Tree& tree, const Model& model) {
  Model found;
  uint64_t next = 0;
  auto walked = walk(store, tree, 0, tree.chunk_count, [&](const EntryRun& run) {
    CHECK(run.first == next && run.count > 0);
    next += run.count;
    if (run.entry == Entry::absent()) return true;
    CHECK(run.count <= model.size());
    for (uint64_t i = 0; i < run.count; i++) found[run.first + i] = run.entry;
    return true;
  });
  CHECK(walked.ok() && next == tree.chunk_count && found == model);
}

Entry entry_of(const Model& model, uint64_t chunk) {
  auto found = model.find(chunk);
  return found == model.end() ? Entry::absent() : found->second;
}

// Both grown to the larger of the two.
void check_diff(ChunkStore& store, const Tree& before, const Model& before_model, const Tree& after,
                const Model& after_model) {
  const uint64_t chunk_count = std::max(before.chunk_count, after.chunk_count);
  const Tree old_tree = must(resize(store, before, chunk_count));
  const Tree new_tree = must(resize(store, after, chunk_count));
  Model patched = before_model;
  auto compared = diff(store, old_tree, new_tree, [&](const Difference& difference) {
    CHECK(difference.before != difference.after);
    CHECK(difference.before == entry_of(before_model, difference.chunk));
    patched[difference.chunk] = difference.after;
    if (difference.after == Entry::absent()) patched.erase(difference.chunk);
    return true;
  });
  CHECK(compared.ok() && patched == after_model);
}

// The tree that one edit of an empty one makes.
Tree built_at_once(ChunkStore& store, uint64_t chunk_count, const Model& model) {
  std::vector<Change> changes;
  for (const auto& [chunk, entry] : model) changes.push_back({chunk, entry});
  return must(edit(store, Tree{Entry::absent(), chunk_count}, changes));
}

void run(FuzzInput input) {
  MemoryStore store;
  Tree tree{Entry::absent(), kCounts[input.below(std::size(kCounts))]};
  Model model;
  for (size_t step = 0; step < kMaxSteps && !input.empty(); step++) {
    const Tree before = tree;
    const Model before_model = model;
    if (input.below(4) == 0) {
      const uint64_t chunk_count = kCounts[input.below(std::size(kCounts))];
      model.erase(model.lower_bound(chunk_count), model.end());
      tree = must(resize(store, tree, chunk_count));
    } else {
      tree = edited(store, tree, input, model);
    }
    check_diff(store, before, before_model, tree, model);
  }
  check_walk(store, tree, model);
  CHECK(built_at_once(store, tree.chunk_count, model) == tree);
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size));
  return 0;
}
