// Trees made of pages that no honest writer made: wrong levels, missing children, chunks where
// pages belong, pages that are shared or beyond the end. Every walk ends with an error that says
// something, or covers its range; nothing crashes and nothing is endless.
#include "index/tree.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/memory_store.h"

namespace casdisk {
namespace {

constexpr size_t kMaxObjects = 24;
constexpr size_t kMaxVisits = 4096;

// An entry is often that of an object made before.
Entry entry_from(FuzzInput& input, const std::vector<ChunkId>& objects) {
  const uint64_t choice = input.below(8);
  if (choice == 0) return Entry::zero();
  if (choice == 1 || objects.empty()) return Entry::of(ChunkId{});  // nobody has it
  return Entry::of(objects[input.below(objects.size())]);
}

Bytes object_from(FuzzInput& input, const std::vector<ChunkId>& objects) {
  if (input.below(8) == 0) {
    auto bytes = input.take(input.below(128) + 1);
    return bytes.empty() ? Bytes(1) : Bytes(bytes.begin(), bytes.end());
  }
  Page page;
  page.level = uint8_t(input.below(kMaxLevels + 1));
  page.entries[input.below(kPageEntries)] = entry_from(input, objects);
  for (uint64_t left = input.below(6); left > 0; left--) {
    const uint64_t first = input.below(kPageEntries);
    const Entry entry = entry_from(input, objects);
    const uint64_t last = std::min<uint64_t>(first + input.below(4), kPageEntries - 2);
    for (uint64_t slot = first; slot <= last; slot++) page.entries[slot] = entry;
  }
  return encode_page(page);
}

void check_error(const Error& error) {
  CHECK(error.fault == Fault::kDamaged && !error.context.empty());
}

void check_walk(ChunkStore& store, const Tree& tree, uint64_t first, uint64_t count) {
  uint64_t next = first;
  size_t visits = 0;
  auto walked = walk(store, tree, first, count, [&](const EntryRun& run) {
    CHECK(run.first == next && run.count > 0 && run.count <= first + count - next);
    CHECK(run.entry.state != EntryState::kId || run.count == 1);
    next += run.count;
    return ++visits < kMaxVisits;
  });
  if (!walked.ok()) return check_error(walked.error());
  CHECK(next == first + count || visits == kMaxVisits);
}

// A lookup is the walk of one chunk, save that it may answer where a page is wrong elsewhere.
void check_lookup(ChunkStore& store, const Tree& tree, uint64_t chunk) {
  Entry walked_to;
  auto walked = walk(store, tree, chunk, 1, [&](const EntryRun& run) {
    walked_to = run.entry;
    return true;
  });
  auto found = lookup(store, tree, chunk);
  if (found.ok()) {
    CHECK(!walked.ok() || found.value() == walked_to);
  } else {
    check_error(found.error());
    CHECK(!walked.ok() && walked.error().context == found.error().context);
  }
}

void run(FuzzInput input) {
  MemoryStore store;
  std::vector<ChunkId> objects;
  for (uint64_t left = input.below(kMaxObjects) + 1; left > 0; left--) {
    auto put = store.put(ObjectKind::kPage, object_from(input, objects));
    CHECK(put.ok());
    objects.push_back(put.value());
  }
  const AllocationBound bound(size_t(16) << 20);
  Tree tree{Entry::of(objects.back()), (uint64_t(1) << input.below(38)) + input.below(3)};
  const uint64_t first = input.number<uint64_t>() % tree.chunk_count;
  check_walk(store, tree, 0, tree.chunk_count);
  check_walk(store, tree, first, tree.chunk_count - first);
  check_lookup(store, tree, first);
  check_lookup(store, tree, tree.chunk_count - 1);
  check_lookup(store, tree, tree.chunk_count);

  const Tree other{Entry::of(objects[input.below(objects.size())]), tree.chunk_count};
  size_t differences = 0;
  auto compared = diff(store, tree, other, [&](const Difference& difference) {
    CHECK(difference.before != difference.after && difference.chunk < tree.chunk_count);
    return ++differences < kMaxVisits;
  });
  if (!compared.ok()) check_error(compared.error());

  const Change change{first, Entry::zero()};
  auto changed = edit(store, tree, {&change, 1});
  if (!changed.ok()) return check_error(changed.error());
  auto found = lookup(store, changed.value(), first);
  CHECK(found.ok() && found.value() == Entry::zero());
  auto resized = resize(store, tree, first + 1);
  if (!resized.ok()) check_error(resized.error());
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size));
  return 0;
}
