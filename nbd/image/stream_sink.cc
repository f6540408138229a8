#include "nbd/image/stream_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "nbd/cli/interrupt.h"

namespace casdisk {
namespace {

// At the end of a regular file what is skipped reads as zeros; a file opened to append (>>) puts
// each write at its end, so nothing can be skipped there.
bool is_at_the_end_of_a_file(int descriptor) {
  struct stat status;
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return false;
  if ((::fcntl(descriptor, F_GETFL) & O_APPEND) != 0) return false;
  return ::lseek(descriptor, 0, SEEK_CUR) >= status.st_size;
}

}  // namespace

StreamSink::StreamSink(int descriptor, Ownership ownership, std::string name)
    : descriptor_(descriptor),
      ownership_(ownership),
      name_(std::move(name)),
      makes_holes_(is_at_the_end_of_a_file(descriptor)) {}

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
  if (makes_holes_) {
    if (::lseek(descriptor_, off_t(length), SEEK_CUR) < 0) return os_error(errno, name_);
    return {};
  }
  const Bytes zeros(std::min<uint64_t>(length, kPieceBytes));
  for (uint64_t done = 0; done < length;) {
    uint64_t count = std::min<uint64_t>(zeros.size(), length - done);
    TRY(write(offset + done, std::span(zeros).first(count)));
    done += count;
  }
  return {};
}

Result<void> StreamSink::finish() {
  // A hole at the end is only there once the file is that long.
  if (makes_holes_ && ::ftruncate(descriptor_, ::lseek(descriptor_, 0, SEEK_CUR)) != 0) {
    return os_error(errno, name_);
  }
  // Pipes and devices such as /dev/null have nothing to sync.
  if (::fsync(descriptor_) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP) return {};
  return os_error(errno, name_ + ": sync");
}

}  // namespace casdisk
