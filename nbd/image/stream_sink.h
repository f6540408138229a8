// StreamSink: the image written from its first byte to its last, to a pipe, a terminal's
// redirection or a character device.
#pragma once

#include <string>

#include "index/image.h"

namespace casdisk {

class StreamSink : public ImageSink {
 public:
  enum class Ownership { kBorrowed, kOwned };  // kOwned: closes the descriptor in the end

  StreamSink(int descriptor, Ownership ownership, std::string name)
      : descriptor_(descriptor), ownership_(ownership), name_(std::move(name)) {}
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
};

}  // namespace casdisk
