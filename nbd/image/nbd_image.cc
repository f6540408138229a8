#include "nbd/image/nbd_image.h"

#include <algorithm>

#include "cas/chunk_id.h"

namespace casdisk {

Result<void> NbdImage::read_ahead() {
  uint64_t size_bytes = client_->size_bytes();
  while (readings_.size() < kReadsAhead) {
    if (position_ >= data_end_) {
      TRY_ASSIGN(DataRange data, client_->next_data(position_));
      if (data.length == 0) {
        position_ = data_end_ = size_bytes;
        return {};
      }
      // Whole chunks around the data; what the server calls zero in them reads as zeros.
      position_ = std::max(position_, data.offset / kChunkBytes * kChunkBytes);
      uint64_t end = data.offset + data.length;
      data_end_ = std::min(size_bytes, (end + kChunkBytes - 1) / kChunkBytes * kChunkBytes);
    }
    Reading reading;
    reading.piece.offset = position_;
    reading.piece.bytes.resize(std::min<uint64_t>(kPieceBytes, data_end_ - position_));
    TRY_ASSIGN(reading.request, client_->start_read(position_, reading.piece.bytes));
    position_ += reading.piece.bytes.size();
    readings_.push_back(std::move(reading));
  }
  return {};
}

Result<bool> NbdImage::next(ImagePiece& piece) {
  TRY(read_ahead());
  if (readings_.empty()) return false;
  TRY(client_->wait(readings_.front().request));
  piece = std::move(readings_.front().piece);
  readings_.pop_front();
  return true;
}

}  // namespace casdisk
