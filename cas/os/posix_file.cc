#include "cas/os/posix_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "cas/os/bytes.h"
#include "cas/os/retry.h"

namespace casdisk {

namespace {

Result<struct stat> stat_of(int descriptor, const std::string& path) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) return os_error(errno, path);
  return status;
}

Result<uint64_t> size_of(int descriptor, const struct stat& status, const std::string& path) {
  if (!S_ISBLK(status.st_mode)) return uint64_t(status.st_size);
  uint64_t size_bytes = 0;
  if (ioctl(descriptor, BLKGETSIZE64, &size_bytes) != 0) {
    return os_error(errno, path + ": size of the block device");
  }
  return size_bytes;
}

// Whether the file system, as opposed to this call, cannot do it.
bool lacks_operation(int error_number) {
  return error_number == EOPNOTSUPP || error_number == ENOSYS || error_number == ENODEV;
}

}  // namespace

PosixFile::~PosixFile() { ::close(descriptor_); }

Result<void> PosixFile::read(uint64_t offset, std::span<std::byte> into) const {
  for (size_t done = 0; done < into.size();) {
    ssize_t count = retry_interrupted([&] {
      return ::pread(descriptor_, into.data() + done, into.size() - done, offset + done);
    });
    if (count < 0) return os_error(errno, fmt::format("{}: read at {}", path_, offset + done));
    if (count == 0) return shorter_than_expected(path_, offset, into.size());
    done += size_t(count);
  }
  return {};
}

Result<void> PosixFile::write(uint64_t offset, std::span<const std::byte> from) {
  for (size_t done = 0; done < from.size();) {
    ssize_t count = retry_interrupted([&] {
      return ::pwrite(descriptor_, from.data() + done, from.size() - done, offset + done);
    });
    if (count == 0) errno = EIO;
    if (count <= 0) return os_error(errno, fmt::format("{}: write at {}", path_, offset + done));
    done += size_t(count);
  }
  return {};
}

Result<void> PosixFile::sync() {
  std::lock_guard lock(sync_mutex_);
  TRY(check_not_poisoned());
  return settle(retry_interrupted([&] { return ::fdatasync(descriptor_); }), "sync");
}

// EINVAL and ESPIPE: not a file that is written through the page cache.
Result<void> PosixFile::write_out() {
  constexpr unsigned kAndWait =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  std::lock_guard lock(sync_mutex_);
  TRY(check_not_poisoned());
  int outcome = retry_interrupted([&] { return ::sync_file_range(descriptor_, 0, 0, kAndWait); });
  if (outcome != 0 && (lacks_operation(errno) || errno == EINVAL || errno == ESPIPE)) return {};
  return settle(outcome, "write-out");
}

Result<void> PosixFile::check_not_poisoned() const {
  if (!poisoned_) return {};
  return Error{Fault::kPoisoned, 0, path_ + ": an earlier sync failed, its writes may be lost"};
}

Result<void> PosixFile::settle(int outcome, std::string_view operation) {
  if (outcome == 0) return {};
  poisoned_ = true;
  return Error{Fault::kPoisoned, errno,
               fmt::format("{}: {} failed, its writes may be lost", path_, operation)};
}

Result<uint64_t> PosixFile::size() const {
  TRY_ASSIGN(struct stat status, stat_of(descriptor_, path_));
  return size_of(descriptor_, status, path_);
}

Result<void> PosixFile::resize(uint64_t size_bytes) {
  if (retry_interrupted([&] { return ::ftruncate(descriptor_, off_t(size_bytes)); }) == 0) {
    return {};
  }
  return os_error(errno, fmt::format("{}: resize to {} bytes", path_, size_bytes));
}

Result<void> PosixFile::punch(uint64_t offset, uint64_t length) {
  if (length == 0) return {};
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (retry_interrupted(
          [&] { return ::fallocate(descriptor_, mode, off_t(offset), off_t(length)); }) == 0) {
    return {};
  }
  int error_number = lacks_operation(errno) ? EOPNOTSUPP : errno;
  return os_error(error_number, fmt::format("{}: punch {} bytes at {}", path_, length, offset));
}

Result<void> PosixFile::allocate(uint64_t offset, uint64_t length) {
  if (length == 0) return {};
  if (retry_interrupted(
          [&] { return ::fallocate(descriptor_, 0, off_t(offset), off_t(length)); }) == 0) {
    return {};
  }
  int error_number = lacks_operation(errno) ? EOPNOTSUPP : errno;
  return os_error(error_number,
                  fmt::format("{}: allocate {} bytes at {} (fallocate, which ext4, XFS, "
                              "btrfs and tmpfs have)",
                              path_, length, offset));
}

// lseek moves the offset that the descriptor's users share, which nobody uses: all transfers name
// their own.
Result<DataRange> PosixFile::next_data(uint64_t offset) const {
  for (;;) {
    off_t begin = ::lseek(descriptor_, off_t(offset), SEEK_DATA);
    if (begin < 0 && errno == ENXIO) return DataRange{};
    if (begin < 0 && (errno == EINVAL || lacks_operation(errno))) {
      TRY_ASSIGN(const uint64_t size_bytes, size());
      return offset < size_bytes ? DataRange{offset, size_bytes - offset} : DataRange{};
    }
    if (begin < 0) return os_error(errno, fmt::format("{}: seek data at {}", path_, offset));
    off_t end = ::lseek(descriptor_, begin, SEEK_HOLE);
    if (end < 0 && errno == ENXIO) return DataRange{};  // cut off just now
    if (end < 0) return os_error(errno, fmt::format("{}: seek hole at {}", path_, begin));
    if (end > begin) return DataRange{uint64_t(begin), uint64_t(end - begin)};
    offset = uint64_t(begin);  // punched between the two calls: look again
  }
}

Result<uint64_t> PosixFile::allocated_bytes() const {
  TRY_ASSIGN(struct stat status, stat_of(descriptor_, path_));
  return uint64_t(status.st_blocks) * 512;
}

Result<FileIdentity> PosixFile::identity() const {
  TRY_ASSIGN(struct stat status, stat_of(descriptor_, path_));
  TRY_ASSIGN(const uint64_t size_bytes, size_of(descriptor_, status, path_));
  return FileIdentity{
      .device = status.st_dev,
      .inode = status.st_ino,
      .size_bytes = size_bytes,
      .mtime_ns = int64_t(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec,
  };
}

Result<std::unique_ptr<Mapping>> PosixMapping::map(const File& file) {
  TRY_ASSIGN(const uint64_t size_bytes, file.size());
  if (size_bytes == 0) return Error{Fault::kInvalid, 0, file.path() + ": maps no empty file"};
  void* address =
      ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor(), 0);
  if (address == MAP_FAILED) return os_error(errno, file.path() + ": map");
  return std::unique_ptr<Mapping>(
      new PosixMapping(std::span(static_cast<std::byte*>(address), size_bytes)));
}

PosixMapping::~PosixMapping() { ::munmap(bytes_.data(), bytes_.size()); }

}  // namespace casdisk
