// ImageSource and ImageSink: what an import reads and an export writes.
//
// Sources: FileImage (index/), NBD servers and streams (nbd/). Sinks: raw files, streams and NBD
// servers (nbd/).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cas/os/bytes.h"
#include "cas/os/result.h"

namespace casdisk {

inline constexpr uint32_t kPieceBytes = 1024 * 1024;

// How far the work has come, in bytes of the image. Returns false to stop it: Fault::kIo with
// EINTR.
using ImageProgress = std::function<bool(uint64_t position_bytes)>;

struct ImagePiece {
  uint64_t offset = 0;  // a multiple of the chunk size
  Bytes bytes;          // 1 to kPieceBytes; only the image's last piece has a broken chunk
};

class ImageSource {
 public:
  virtual ~ImageSource() = default;

  // Nothing for a stream, whose size shows at its end.
  virtual std::optional<uint64_t> size_bytes() const = 0;

  // The next piece that may hold anything but zeros, ascending; false at the end. It may leave the
  // bytes to fetch(), having sized them. One call at a time.
  virtual Result<bool> next(ImagePiece& piece) = 0;

  // Fills the bytes of a piece if next() did not. Safe from any thread.
  virtual Result<void> fetch(ImagePiece& piece) = 0;

  // Called once after the last piece: an error if what was read cannot be trusted, else the size.
  virtual Result<uint64_t> finish() = 0;
};

class ImageSink {
 public:
  virtual ~ImageSink() = default;

  // True: write and zero come in ascending order, without gaps, one at a time.
  virtual bool is_sequential() const = 0;
  virtual Result<void> write(uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual Result<void> zero(uint64_t offset, uint64_t length) = 0;
  // Everything has been written; durable on return where the destination can be.
  virtual Result<void> finish() = 0;
};

}  // namespace casdisk
