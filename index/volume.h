// Volume: what the NBD service, import and export see of a disk: bytes, extents and promises.
//
// Implementations: Disk (a writable head), CheckpointView (read-only). Offsets and lengths are
// bytes and need no alignment. Requests that reach beyond the size get kInvalid and change nothing;
// so does every change of a read-only volume. Safe to call from any thread, also for overlapping
// ranges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "cas/os/result.h"

namespace casdisk {

// Largest size of one read or write; zero and trim take any length.
inline constexpr uint32_t kMaxTransferBytes = uint32_t(64) << 20;

struct Extent {
  uint64_t offset = 0;
  uint64_t length = 0;
  bool is_hole = false;  // reads as zeros and takes no space; otherwise allocated data
};

class Volume {
 public:
  virtual ~Volume() = default;

  // As users write it: "disk" or "disk@checkpoint".
  virtual const std::string& name() const = 0;
  virtual uint64_t size_bytes() const = 0;
  virtual bool is_writable() const = 0;

  virtual Result<void> read(uint64_t offset, std::span<std::byte> into) = 0;

  // On return the bytes are in the kernel: they outlive this process, though not a power cut.
  virtual Result<void> write(uint64_t offset, std::span<const std::byte> from) = 0;
  // The range reads as zeros.
  virtual Result<void> zero(uint64_t offset, uint64_t length) = 0;
  // The range may read as zeros or as before; whole blocks in it give their space back.
  virtual Result<void> trim(uint64_t offset, uint64_t length) = 0;
  // All that was acknowledged before the call survives a power cut. kPoisoned: a sync failed, now
  // or earlier; nothing more is promised.
  virtual Result<void> flush() = 0;

  // Calls `visit` with ascending extents, the first beginning at `offset` and the last ending at
  // offset + length, until it returns false.
  virtual Result<void> extents(uint64_t offset, uint64_t length,
                               const std::function<bool(const Extent&)>& visit) = 0;

  // Reads of the range are likely: brings its chunks into the cache, as far as they fit.
  virtual Result<void> prefetch(uint64_t offset, uint64_t length) = 0;
};

}  // namespace casdisk
