#include "index/file_image.h"

#include <algorithm>

#include "cas/chunk_id.h"

namespace casdisk {

Result<std::unique_ptr<FileImage>> FileImage::open(FileSystem& file_system,
                                                   const std::string& path) {
  TRY_ASSIGN(auto file, file_system.open_foreign(path));
  TRY_ASSIGN(FileIdentity identity, file->identity());
  return std::unique_ptr<FileImage>(new FileImage(std::move(file), identity));
}

Result<bool> FileImage::next(ImagePiece& piece) {
  uint64_t size_bytes = identity_.size_bytes;
  if (position_ >= data_end_) {
    TRY_ASSIGN(DataRange data, file_->next_data(position_));
    if (data.length == 0 || data.offset >= size_bytes) return false;
    // Whole chunks around the data; holes in them read as zeros.
    position_ = std::max(position_, data.offset / kChunkBytes * kChunkBytes);
    uint64_t end = data.offset + data.length;
    data_end_ = std::min(size_bytes, (end + kChunkBytes - 1) / kChunkBytes * kChunkBytes);
  }
  piece.offset = position_;
  piece.bytes.resize(std::min<uint64_t>(kPieceBytes, data_end_ - position_));
  position_ += piece.bytes.size();
  return true;
}

Result<void> FileImage::fetch(ImagePiece& piece) { return file_->read(piece.offset, piece.bytes); }

Result<uint64_t> FileImage::finish() {
  TRY_ASSIGN(FileIdentity identity, file_->identity());
  if (identity == identity_) return identity_.size_bytes;
  return Error{Fault::kDamaged, 0,
               file_->path() + " changed while it was read; import it when nobody writes to it"};
}

}  // namespace casdisk
