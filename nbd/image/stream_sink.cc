#include "nbd/image/stream_sink.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "nbd/cli/interrupt.h"

namespace casdisk {

StreamSink::~StreamSink() {
  if (ownership_ == Ownership::kOwned) ::close(descriptor_);
}

// A signal that asks to stop interrupts a write that a slow reader holds up; exporting, there is
// nothing to go on for then. Such a write fails, or ends early where a part of it went through.
Result<void> StreamSink::write(uint64_t, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0) return os_error(errno, name_);
    bytes = bytes.subspan(size_t(count));
    if (!bytes.empty() && stop_requested()) return stopped_error();
  }
  return {};
}

Result<void> StreamSink::zero(uint64_t offset, uint64_t length) {
  const Bytes zeros(std::min<uint64_t>(length, kPieceBytes));
  for (uint64_t done = 0; done < length;) {
    uint64_t count = std::min<uint64_t>(zeros.size(), length - done);
    TRY(write(offset + done, std::span(zeros).first(count)));
    done += count;
  }
  return {};
}

Result<void> StreamSink::finish() {
  // Pipes and devices such as /dev/null have nothing to sync.
  if (::fsync(descriptor_) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP) return {};
  return os_error(errno, name_ + ": sync");
}

}  // namespace casdisk
