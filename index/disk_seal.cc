// Checkpoints of a disk: the cut that freezes a generation, and the seal that turns it into chunks.
//
// Order of a seal: chunks and pages are put, the store is synced (bytes, then their locations), the
// head and its checkpoints are published in one transaction, the generation's files are removed.
// Whatever is interrupted is begun anew from the generation, which is there until the last step.
#include <fmt/format.h>

#include <algorithm>

#include "cas/os/parallel.h"
#include "index/disk.h"

namespace casdisk {
namespace {

// Dirty chunks sealed between two edits of the tree: 1 GiB; bounds the memory of the change list.
constexpr size_t kChunksPerEdit = 16 * 1024;

// What the tree says of a chunk that is zero: below a fallback it must say so.
Entry zero_entry(const Layers& layers, uint64_t chunk) {
  bool over_fallback = chunk * kChunkBytes < layers.fallback_limit_bytes;
  return over_fallback ? Entry::zero() : Entry::absent();
}

// `layers` has the generation to seal as its only one, with all that is below.
Result<Change> seal_chunk(const Layers& layers, uint64_t chunk) {
  if (layers.generations.front()->word(chunk) == kAllZero) {
    return Change{chunk, zero_entry(layers, chunk)};
  }
  static thread_local Bytes bytes(kChunkBytes);
  if (auto read = read_chunk(layers, chunk, bytes); !read.ok()) {
    read.error().context = fmt::format("chunk {} (bytes {} on) cannot be sealed: {}", chunk,
                                       chunk * kChunkBytes, read.error().context);
    return std::move(read.error());
  }
  if (is_all_zero(bytes)) return Change{chunk, zero_entry(layers, chunk)};
  TRY_ASSIGN(ChunkId id, layers.chunks->put(ObjectKind::kChunk, bytes));
  return Change{chunk, Entry::of(id)};
}

// Chunks that could not be sealed because what is below them cannot be read: they stay dirty. The
// others are stored all the same and found again when the seal is tried the next time.
class UnsealedChunks {
 public:
  // An error that concerns more than one chunk, a full store say, is passed on.
  Result<void> add(const Error& error) {
    if (error.fault == Fault::kNoSpace || error.fault == Fault::kPoisoned) return error;
    std::lock_guard lock(mutex_);
    if (count_++ == 0) first_ = error;
    return {};
  }
  size_t count() {
    std::lock_guard lock(mutex_);
    return count_;
  }
  Result<void> outcome() {
    std::lock_guard lock(mutex_);
    if (count_ == 0) return {};
    if (count_ > 1) first_.context += fmt::format(" (and {} more chunks)", count_ - 1);
    return first_;
  }

 private:
  std::mutex mutex_;
  // Guarded by mutex_.
  size_t count_ = 0;
  Error first_;
};

Result<Tree> seal_generation(const Layers& layers, unsigned threads, const SealProgress& progress) {
  const Generation& generation = *layers.generations.front();
  uint64_t chunk_count = layers.tree.chunk_count;
  Tree tree = layers.tree;
  UnsealedChunks unsealed;
  std::vector<Change> changes;
  for (uint64_t next = 0; next < chunk_count;) {
    changes.clear();
    while (changes.size() < kChunksPerEdit) {
      next = generation.next_dirty(next, chunk_count);
      if (next >= chunk_count) break;
      changes.push_back(Change{next++, {}});
    }
    TRY(parallel_for(changes.size(), threads, [&](size_t i) -> Result<void> {
      auto sealed = seal_chunk(layers, changes[i].chunk);
      if (!sealed.ok()) return unsealed.add(sealed.error());
      changes[i] = sealed.value();
      progress(kChunkBytes);
      return {};
    }));
    if (unsealed.count() > 0) continue;
    TRY_ASSIGN(tree, edit(*layers.chunks, tree, changes));
  }
  TRY(unsealed.outcome());
  return tree;
}

// Records the pending checkpoints that need no other seal: those cut before `sealed`, the oldest
// generation, began are the head as it is; those cut at its end have the root `tree`. Without a
// sealed generation, those that wait for none.
Result<std::vector<SealedCheckpoint>> make_checkpoints(ChunkStore& chunks, const HeadRecord& head,
                                                       const std::string& disk, const Tree& tree,
                                                       const Generation* sealed) {
  uint64_t oldest = head.generations.empty() ? UINT64_MAX : head.generations.front();
  std::vector<SealedCheckpoint> made;
  std::optional<ChunkId> parent = head.parent;
  for (const PendingCheckpoint& pending : head.pending) {
    bool is_head = pending.generation < oldest;
    bool is_sealed = sealed != nullptr && pending.generation == sealed->number();
    if (!is_head && !is_sealed) break;
    CheckpointRecord record;
    record.root = is_head ? head.root : tree.root;
    record.size_bytes = head.size_bytes;
    record.parent = parent;
    record.fallback = head.fallback;
    record.time_ns = pending.time_ns;
    record.disk = disk;
    record.name = pending.name;
    Bytes encoded = encode(record);
    TRY_ASSIGN(ChunkId id, chunks.put(ObjectKind::kCheckpoint, encoded));
    made.push_back({pending.name, id, std::move(encoded)});
    parent = id;
  }
  return made;
}

}  // namespace

Result<void> Disk::cut(const std::string& checkpoint_name) {
  std::lock_guard lock(change_mutex_);
  if (!checkpoint_name.empty()) {
    TRY(check_name(checkpoint_name, "checkpoint"));
    TRY(check_checkpoint_is_new(checkpoint_name));
  }
  Layers frozen = *layers();
  bool was_active = frozen.active;
  if (was_active) {
    frozen.active = false;
    set_layers(frozen);
    frozen.generations.front()->drain();
    if (auto flushed = frozen.generations.front()->flush(); !flushed.ok()) {
      note_poison(flushed.error());
      frozen.active = true;
      set_layers(frozen);
      return flushed;
    }
  }
  if (!was_active && checkpoint_name.empty()) return {};
  auto recorded = update_head([&](CatalogWriter&, HeadRecord& head) -> Result<void> {
    head.active = false;
    if (checkpoint_name.empty()) return {};
    uint64_t newest = head.generations.empty() ? 0 : head.generations.back();
    head.pending.push_back({checkpoint_name, newest, store_.now_ns()});
    return {};
  });
  if (!recorded.ok() && was_active) {
    frozen.active = true;
    set_layers(frozen);
  }
  return recorded;
}

// REQUIRES: change_mutex_ is held.
Result<void> Disk::check_checkpoint_is_new(const std::string& checkpoint_name) {
  HeadRecord now = head();
  bool taken = std::any_of(now.pending.begin(), now.pending.end(),
                           [&](const auto& pending) { return pending.name == checkpoint_name; });
  TRY(store_.catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(auto found, reader.find_checkpoint(uid_, checkpoint_name));
    taken = taken || found.has_value();
    return {};
  }));
  if (taken) {
    return Error{Fault::kExists, 0,
                 fmt::format("{}@{} exists already; checkpoints do not change, choose another name",
                             name_, checkpoint_name)};
  }
  if (now.pending.size() >= kMaxGenerations) {
    return Error{Fault::kBusy, 0,
                 fmt::format("disk {} has {} checkpoints that are not sealed yet; wait for them",
                             name_, now.pending.size())};
  }
  return {};
}

Result<void> Disk::seal(unsigned threads, const SealProgress& progress) {
  std::lock_guard lock(seal_mutex_);
  for (;;) {
    auto now = layers();
    size_t frozen_count = now->generations.size() - (now->active ? 1 : 0);
    if (frozen_count == 0) break;
    Layers oldest = *now;
    oldest.generations = {now->generations.back()};
    oldest.active = false;
    TRY_ASSIGN(Tree tree, seal_generation(oldest, threads, progress));
    TRY(publish_seal(oldest.generations.front(), tree));
  }
  if (head().pending.empty()) return {};
  return publish_seal(nullptr, layers()->tree);  // checkpoints of a head that nobody wrote to
}

// Publishes `tree` as the head's root with the checkpoints that waited for it; `sealed` is the
// oldest generation, or null where nothing was dirty.
Result<void> Disk::publish_seal(const std::shared_ptr<Generation>& sealed, const Tree& tree) {
  std::lock_guard lock(change_mutex_);
  TRY_ASSIGN(auto checkpoints,
             make_checkpoints(store_.chunks(), head(), name_, tree, sealed.get()));
  TRY(store_.chunks().sync());
  TRY(update_head([&](CatalogWriter& writer, HeadRecord& head) -> Result<void> {
    if (sealed) {
      head.root = tree.root;
      CHECK(head.generations.front() == sealed->number());
      head.generations.erase(head.generations.begin());
    }
    for (const SealedCheckpoint& made : checkpoints) {
      TRY(writer.put_checkpoint(uid_, made.name, made.id, made.encoded));
      head.parent = made.id;
    }
    head.pending.erase(head.pending.begin(), head.pending.begin() + ptrdiff_t(checkpoints.size()));
    return {};
  }));
  if (!sealed) return {};
  Layers after = *layers();
  after.tree = tree;
  after.generations.pop_back();
  set_layers(std::move(after));
  return Generation::remove(*directory_, sealed->number());
}

Result<void> Disk::seal_all(unsigned threads, const SealProgress& progress) {
  TRY(cut(""));
  return seal(threads, progress);
}

}  // namespace casdisk
