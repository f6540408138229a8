#include "index/redo_buffer.h"

#include <utility>

namespace casdisk {

std::vector<RedoBlock> RedoBuffer::Blocks::entries() const {
  std::vector<RedoBlock> entries;
  entries.reserve(numbers.size());
  for (size_t i = 0; i < numbers.size(); i++) {
    entries.push_back({numbers[i], std::span(bytes).subspan(i * kBlockBytes, kBlockBytes)});
  }
  return entries;
}

bool RedoBuffer::has_room(std::span<const WritePiece> pieces) const {
  size_t count = blocks_.numbers.size();
  for (const WritePiece& piece : pieces) count += piece.from.size() / kBlockBytes;
  return is_open() && count <= kMaxBlocks;
}

void RedoBuffer::add(std::span<const WritePiece> pieces) {
  for (const WritePiece& piece : pieces) {
    for (size_t at = 0; at < piece.from.size(); at += kBlockBytes) {
      blocks_.numbers.push_back((piece.offset + at) / kBlockBytes);
    }
    blocks_.bytes.insert(blocks_.bytes.end(), piece.from.begin(), piece.from.end());
  }
}

void RedoBuffer::close() {
  is_open_.store(false, std::memory_order_relaxed);
  blocks_ = {};
}

RedoBuffer::Blocks RedoBuffer::take() {
  is_open_.store(true, std::memory_order_relaxed);
  return std::exchange(blocks_, {});
}

}  // namespace casdisk
