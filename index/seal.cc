#include "index/seal.h"

#include <fmt/format.h>

#include <mutex>

#include "cas/os/parallel.h"

namespace casdisk {
namespace {

// Dirty chunks sealed between two edits of the tree: 256 MiB. Bounds the memory of the change list,
// and what a sync of the store finds waiting.
constexpr size_t kChunksPerEdit = 4 * 1024;

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

}  // namespace

Result<std::optional<Tree>> seal_generation(const Layers& layers, const SealOptions& options) {
  const Generation& generation = *layers.generations.front();
  uint64_t chunk_count = layers.tree.chunk_count;
  Tree tree = layers.tree;
  UnsealedChunks unsealed;
  std::atomic<bool> stopped = false;
  std::atomic<uint64_t> sealed_bytes = 0;
  std::vector<Change> changes;
  for (uint64_t next = 0; next < chunk_count;) {
    changes.clear();
    while (changes.size() < kChunksPerEdit) {
      next = generation.next_dirty(next, chunk_count);
      if (next >= chunk_count) break;
      changes.push_back(Change{next++, {}});
    }
    TRY(parallel_for(changes.size(), options.threads, [&](size_t i) -> Result<void> {
      if (stopped || options.stop()) {
        stopped = true;
        return {};
      }
      auto sealed = seal_chunk(layers, changes[i].chunk);
      if (!sealed.ok()) return unsealed.add(sealed.error());
      changes[i] = sealed.value();
      options.progress(sealed_bytes += kChunkBytes);
      return {};
    }));
    if (stopped) return std::optional<Tree>();
    if (unsealed.count() > 0) continue;
    TRY_ASSIGN(tree, edit(*layers.chunks, tree, changes));
    if (next < chunk_count) TRY(layers.chunks->sync());
  }
  TRY(unsealed.outcome());
  return std::optional(tree);
}

}  // namespace casdisk
