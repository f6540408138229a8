// RedoBuffer: copies of the few blocks written since the last flush, in the order in which the
// overlay got them, so that the flush can put them into its journal record instead of syncing the
// overlay.
//
// Takes what guests flush one by one: journals, databases. Once more than kMaxBlocks have come it
// is closed and forgets them, until take(). is_open() may be asked by any thread; everything else
// is called under one mutex of the owner, which writes the overlay under it too: that is what makes
// the orders the same.
#pragma once

#include <atomic>
#include <span>
#include <vector>

#include "cas/os/file.h"
#include "index/journal_record.h"

namespace casdisk {

class RedoBuffer {
 public:
  // 128 KiB: about what a sequential write costs as much as a sync of its own. Within one record.
  static constexpr size_t kMaxBlocks = 32;
  static_assert(kMaxBlocks <= kMaxRedoPerRecord);

  // Blocks with their bytes.
  struct Blocks {
    std::vector<uint64_t> numbers;
    Bytes bytes;  // kBlockBytes each
    bool empty() const { return numbers.empty(); }
    std::vector<RedoBlock> entries() const;  // point into this
  };

  bool is_open() const { return is_open_.load(std::memory_order_relaxed); }
  bool has_room(std::span<const WritePiece> pieces) const;
  // REQUIRES: has_room(), whole blocks.
  void add(std::span<const WritePiece> pieces);
  void close();
  // What was added since the last call, nothing if it was closed. It is open then.
  Blocks take();

 private:
  std::atomic<bool> is_open_ = true;
  Blocks blocks_;
};

}  // namespace casdisk
