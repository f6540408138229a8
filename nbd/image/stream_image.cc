#include "nbd/image/stream_image.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "cas/chunk_id.h"

namespace casdisk {
namespace {

constexpr int kPollMs = 200;

}  // namespace

Result<void> StreamImage::fill(Bytes& bytes, size_t count) {
  size_t have = bytes.size();
  bytes.resize(count);
  while (have < count) {
    if (stop_()) return Error{Fault::kIo, EINTR, "stopped"};
    pollfd waiting{descriptor_, POLLIN, 0};
    int ready = ::poll(&waiting, 1, kPollMs);
    if (ready < 0 && errno != EINTR) return os_error(errno, name_);
    if (ready <= 0) continue;
    ssize_t got = ::read(descriptor_, bytes.data() + have, count - have);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return os_error(errno, fmt::format("{}: read at {}", name_, position_ + have));
    if (got == 0) break;
    have += size_t(got);
  }
  bytes.resize(have);
  return {};
}

Result<Bytes> StreamImage::peek(size_t count) {
  TRY(fill(peeked_, std::max(count, peeked_.size())));
  return peeked_;
}

Result<bool> StreamImage::next(ImagePiece& piece) {
  for (;;) {
    piece.offset = position_;
    piece.bytes = std::move(peeked_);
    peeked_.clear();
    TRY(fill(piece.bytes, kPieceBytes));
    position_ += piece.bytes.size();
    if (piece.bytes.empty()) return false;
    if (!is_all_zero(piece.bytes)) return true;
  }
}

}  // namespace casdisk
