// StreamSink: the image written from its first byte to its last, to a pipe, a character device or
// the file that a shell redirected stdout to, where zeros become holes.
#pragma once

#include <string>

#include "index/image.h"

namespace casdisk {

class StreamSink : public ImageSink {
 public:
  enum class Ownership { kBorrowed, kOwned };  // kOwned: closes the descriptor in the end

  StreamSink(int descriptor, Ownership ownership, std::string name);
  ~StreamSink() override;
  StreamSink(const StreamSink&) = delete;
  StreamSink& operator=(const StreamSink&) = delete;

  bool is_sequential() const override { return true; }
  Result<void> write(uint64_t offset, std::span<const std::byte> bytes) override;
  Result<void> zero(uint64_t offset, uint64_t length) override;
  Result<void> finish() override;

 private:
  // Fixed after construction.
  const int descriptor_;
  const Ownership ownership_;
  const std::string name_;
  const bool makes_holes_;
};

}  // namespace casdisk
