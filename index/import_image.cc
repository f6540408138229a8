#include "index/import_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "cas/os/parallel.h"
#include "index/lineage.h"

namespace casdisk {
namespace {

// Chunks between two edits of the tree: 1 GiB; bounds the memory of the change list.
constexpr size_t kChunksPerEdit = 16 * 1024;

class Importer {
 public:
  Importer(Store& store, ImageSource& source, unsigned threads, const ImageProgress& progress)
      : store_(store), source_(source), threads_(threads), progress_(progress) {}

  // The whole source as a tree, and its size in bytes.
  Result<uint64_t> run(Tree& tree) {
    while (!at_end_) {
      claimed_chunks_ = 0;
      changes_.clear();
      TRY(parallel_for(threads_, threads_, [&](size_t) { return take_pieces(); }));
      std::sort(changes_.begin(), changes_.end(),
                [](const Change& a, const Change& b) { return a.chunk < b.chunk; });
      TRY(cover(tree, end_bytes_));
      TRY_ASSIGN(tree, edit(store_.chunks(), tree, changes_));
    }
    TRY_ASSIGN(uint64_t size_bytes, source_.finish());
    if (size_bytes == 0) return Error{Fault::kInvalid, 0, "the image is empty"};
    if (size_bytes > kMaxDiskBytes) return Error{Fault::kInvalid, 0, "the image is too large"};
    TRY(cover(tree, size_bytes));
    return size_bytes;
  }

 private:
  // One thread's share of a batch.
  Result<void> take_pieces() {
    ImagePiece piece;
    std::vector<Change> changes;
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        changes_.insert(changes_.end(), changes.begin(), changes.end());
        changes.clear();
        if (at_end_ || claimed_chunks_ >= kChunksPerEdit) return {};
        TRY_ASSIGN(bool more, source_.next(piece));
        at_end_ = !more;
        if (!more) return {};
        claimed_chunks_ += chunks_for(piece.bytes.size());
        end_bytes_ = std::max(end_bytes_, piece.offset + piece.bytes.size());
        if (!progress_(piece.offset)) return Error{Fault::kIo, EINTR, "stopped"};
      }
      TRY(source_.fetch(piece));
      TRY(put_piece(piece, changes));
    }
  }

  Result<void> put_piece(ImagePiece& piece, std::vector<Change>& changes) {
    uint64_t first = piece.offset / kChunkBytes;
    piece.bytes.resize(chunks_for(piece.bytes.size()) * kChunkBytes);
    for (uint64_t i = 0; i < piece.bytes.size() / kChunkBytes; i++) {
      auto bytes = std::span(piece.bytes).subspan(i * kChunkBytes, kChunkBytes);
      if (is_all_zero(bytes)) continue;
      TRY_ASSIGN(ChunkId id, store_.chunks().put(ObjectKind::kChunk, bytes));
      changes.push_back(Change{first + i, Entry::of(id)});
    }
    return {};
  }

  Result<void> cover(Tree& tree, uint64_t size_bytes) {
    if (chunks_for(size_bytes) <= tree.chunk_count) return {};
    TRY_ASSIGN(tree, resize(store_.chunks(), tree, chunks_for(size_bytes)));
    return {};
  }

  Store& store_;
  ImageSource& source_;
  unsigned threads_;
  const ImageProgress& progress_;

  // Guarded by mutex_.
  std::mutex mutex_;
  bool at_end_ = false;
  size_t claimed_chunks_ = 0;
  uint64_t end_bytes_ = 0;
  std::vector<Change> changes_;
};

}  // namespace

Result<void> import_image(Store& store, ImageSource& source, const std::string& name,
                          unsigned threads, const ImageProgress& progress) {
  TRY(check_name(name, "disk"));
  TRY(store.catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(auto taken, reader.find_head(name));
    if (!taken) return {};
    return Error{Fault::kExists, 0,
                 fmt::format("disk {} exists already; `casdisk rm {}` removes it", name, name)};
  }));

  if (auto known = source.size_bytes()) TRY(store.check_overlay_size(*known));
  Tree tree;
  TRY_ASSIGN(uint64_t size_bytes, Importer(store, source, threads, progress).run(tree));
  CheckpointRecord record;
  record.root = tree.root;
  record.size_bytes = size_bytes;
  record.time_ns = store.now_ns();
  record.disk = name;
  record.name = kImportCheckpoint;
  SealedCheckpoint checkpoint{record.name, {}, encode(record)};
  TRY_ASSIGN(checkpoint.id, store.chunks().put(ObjectKind::kCheckpoint, checkpoint.encoded));
  TRY(store.chunks().sync());

  NewDisk disk;
  disk.head.size_bytes = size_bytes;
  disk.head.root = tree.root;
  disk.checkpoint = std::move(checkpoint);
  return add_disk(store, name, std::move(disk));
}

}  // namespace casdisk
