#include "index/image_tree.h"

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "cas/os/parallel.h"

namespace casdisk {
namespace {

// Chunks between two edits of the tree: 1 GiB; bounds the memory of the change list.
constexpr size_t kChunksPerEdit = 16 * 1024;

class Importer {
 public:
  Importer(ChunkStore& chunks, ImageSource& source, unsigned threads, const ImageProgress& progress)
      : chunks_(chunks), source_(source), threads_(threads), progress_(progress) {}

  // The whole source as a tree, and its size in bytes.
  Result<uint64_t> run(Tree& tree) {
    while (!at_end_) {
      claimed_chunks_ = 0;
      changes_.clear();
      TRY(parallel_for(threads_, threads_, [&](size_t) { return take_pieces(); }));
      std::sort(changes_.begin(), changes_.end(),
                [](const Change& a, const Change& b) { return a.chunk < b.chunk; });
      TRY(cover(tree, end_bytes_));
      TRY_ASSIGN(tree, edit(chunks_, tree, changes_));
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
      TRY_ASSIGN(ChunkId id, chunks_.put(ObjectKind::kChunk, bytes));
      changes.push_back(Change{first + i, Entry::of(id)});
    }
    return {};
  }

  Result<void> cover(Tree& tree, uint64_t size_bytes) {
    if (chunks_for(size_bytes) <= tree.chunk_count) return {};
    TRY_ASSIGN(tree, resize(chunks_, tree, chunks_for(size_bytes)));
    return {};
  }

  ChunkStore& chunks_;
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

Result<ImageTree> put_image(ChunkStore& chunks, ImageSource& source, unsigned threads,
                            const ImageProgress& progress) {
  ImageTree image;
  TRY_ASSIGN(image.size_bytes, Importer(chunks, source, threads, progress).run(image.tree));
  return image;
}

}  // namespace casdisk
