// StreamImage: a raw image from a pipe, as the source of an import; pieces of zeros are skipped.
#pragma once

#include <functional>
#include <string>

#include "index/image.h"

namespace casdisk {

class StreamImage : public ImageSource {
 public:
  using Stop = std::function<bool()>;

  // Reads from `descriptor`, which stays open and the caller's. Waiting for bytes ends soon after
  // `stop` became true, with EINTR.
  StreamImage(int descriptor, std::string name, Stop stop)
      : descriptor_(descriptor), name_(std::move(name)), stop_(std::move(stop)) {}

  // The first bytes, without taking them away: up to `count`, fewer at the end of the stream.
  Result<Bytes> peek(size_t count);

  std::optional<uint64_t> size_bytes() const override { return std::nullopt; }
  Result<bool> next(ImagePiece& piece) override;
  Result<void> fetch(ImagePiece&) override { return {}; }
  Result<uint64_t> finish() override { return position_; }

 private:
  // Reads on until `bytes` has `count` of them or the stream ends.
  Result<void> fill(Bytes& bytes, size_t count);

  // Fixed after construction.
  const int descriptor_;
  const std::string name_;
  const Stop stop_;

  Bytes peeked_;
  uint64_t position_ = 0;
};

}  // namespace casdisk
