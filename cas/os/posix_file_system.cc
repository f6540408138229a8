#include "cas/os/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "cas/os/posix_file.h"
#include "cas/os/retry.h"

namespace casdisk {

namespace {

// Newer than the headers of glibc 2.36. Unlike STATX_MNT_ID's, its numbers are never used again.
constexpr unsigned kStatxMountIdUnique = 0x4000;

Result<std::string> component(std::string_view name) {
  if (name.empty() || name == "." || name == ".." ||
      name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    return Error{Fault::kInvalid, 0, fmt::format("\"{}\" is no file name", name)};
  }
  return std::string(name);
}

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::kCreateAny:
      return O_RDWR | O_CREAT;
  }
  return O_RDONLY;
}

Result<int> open_at(int directory, const std::string& name, int flags, const std::string& path) {
  int descriptor =
      retry_interrupted([&] { return ::openat(directory, name.c_str(), flags | O_CLOEXEC, 0600); });
  if (descriptor < 0) return os_error(errno, path);
  return descriptor;
}

// Without /proc: a string that equals no other process's, so that nobody takes two boots for one.
std::string random_boot_id() {
  uint64_t numbers[2] = {};
  if (::getrandom(numbers, sizeof(numbers), 0) != ssize_t(sizeof(numbers))) {
    numbers[0] = uint64_t(::getpid());
    numbers[1] = uint64_t(std::chrono::system_clock::now().time_since_epoch().count());
  }
  return fmt::format("unknown-{:016x}{:016x}", numbers[0], numbers[1]);
}

std::string read_boot_id() {
  std::string boot_id;
  if (std::FILE* file = std::fopen("/proc/sys/kernel/random/boot_id", "re")) {
    for (int c; (c = std::fgetc(file)) != EOF;) {
      if (c != '-' && c != '\n') boot_id.push_back(char(c));
    }
    std::fclose(file);
  }
  return boot_id.empty() ? random_boot_id() : boot_id;
}

}  // namespace

Result<std::unique_ptr<Directory>> PosixDirectory::open_path(const std::string& path) {
  TRY_ASSIGN(int descriptor, open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, path));
  return std::unique_ptr<Directory>(new PosixDirectory(descriptor, path));
}

PosixDirectory::~PosixDirectory() { ::close(descriptor_); }

Result<std::unique_ptr<File>> PosixDirectory::open(std::string_view name, OpenMode mode) {
  TRY_ASSIGN(const std::string file_name, component(name));
  std::string path = path_ + "/" + file_name;
  TRY_ASSIGN(int descriptor, open_at(descriptor_, file_name, flags_of(mode), path));
  return std::unique_ptr<File>(std::make_unique<PosixFile>(descriptor, std::move(path)));
}

Result<std::unique_ptr<Mapping>> PosixDirectory::map(File& file) {
  if (file.descriptor() < 0) return os_error(EOPNOTSUPP, file.path() + ": map");
  return PosixMapping::map(file);
}

Result<std::unique_ptr<Directory>> PosixDirectory::open_directory(std::string_view name) {
  TRY_ASSIGN(const std::string file_name, component(name));
  std::string path = path_ + "/" + file_name;
  TRY_ASSIGN(int descriptor, open_at(descriptor_, file_name, O_RDONLY | O_DIRECTORY, path));
  return std::unique_ptr<Directory>(new PosixDirectory(descriptor, std::move(path)));
}

Result<void> PosixDirectory::make_directory(std::string_view name) {
  TRY_ASSIGN(const std::string file_name, component(name));
  if (::mkdirat(descriptor_, file_name.c_str(), 0700) == 0) return {};
  const int mkdir_error = errno;
  struct stat status;
  if (mkdir_error == EEXIST && ::fstatat(descriptor_, file_name.c_str(), &status, 0) == 0 &&
      S_ISDIR(status.st_mode)) {
    return {};
  }
  return os_error(mkdir_error, path_ + "/" + file_name + ": make directory");
}

Result<void> PosixDirectory::remove(std::string_view name) {
  TRY_ASSIGN(const std::string file_name, component(name));
  if (::unlinkat(descriptor_, file_name.c_str(), 0) == 0) return {};
  return os_error(errno, path_ + "/" + file_name + ": remove");
}

Result<void> PosixDirectory::remove_directory(std::string_view name) {
  TRY_ASSIGN(const std::string file_name, component(name));
  if (::unlinkat(descriptor_, file_name.c_str(), AT_REMOVEDIR) == 0) return {};
  return os_error(errno, path_ + "/" + file_name + ": remove directory");
}

Result<void> PosixDirectory::rename(std::string_view from, std::string_view to) {
  TRY_ASSIGN(const std::string old_name, component(from));
  TRY_ASSIGN(const std::string new_name, component(to));
  if (::renameat(descriptor_, old_name.c_str(), descriptor_, new_name.c_str()) == 0) return {};
  return os_error(errno, fmt::format("{}/{}: rename to {}", path_, old_name, new_name));
}

Result<std::vector<std::string>> PosixDirectory::list() {
  // A descriptor of its own: reading moves an offset that all users of one share.
  TRY_ASSIGN(int descriptor, open_at(descriptor_, ".", O_RDONLY | O_DIRECTORY, path_));
  DIR* stream = ::fdopendir(descriptor);
  if (stream == nullptr) {
    const int error_number = errno;
    ::close(descriptor);
    return os_error(error_number, path_ + ": list");
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error_number = errno;
  ::closedir(stream);
  if (error_number != 0) return os_error(error_number, path_ + ": list");
  return names;
}

Result<void> PosixDirectory::sync() {
  if (retry_interrupted([&] { return ::fsync(descriptor_); }) == 0) return {};
  return Error{Fault::kPoisoned, errno, path_ + ": sync of the directory failed"};
}

Result<uint64_t> PosixDirectory::mount_id() {
  for (unsigned mask : {kStatxMountIdUnique, unsigned(STATX_MNT_ID)}) {
    struct statx status;
    if (::statx(descriptor_, "", AT_EMPTY_PATH, mask, &status) != 0) {
      return os_error(errno, path_ + ": mount id");
    }
    if (status.stx_mask & mask) return uint64_t(status.stx_mnt_id);
  }
  return os_error(EOPNOTSUPP, path_ + ": mount id (needs Linux 5.8)");
}

Result<uint64_t> PosixDirectory::free_bytes() {
  struct statvfs status;
  if (retry_interrupted([&] { return ::fstatvfs(descriptor_, &status); }) != 0) {
    return os_error(errno, path_ + ": free space");
  }
  return uint64_t(status.f_bavail) * status.f_frsize;
}

PosixFileSystem::PosixFileSystem() : boot_id_(read_boot_id()) {}

Result<std::unique_ptr<Directory>> PosixFileSystem::open_directory(const std::string& path) {
  return PosixDirectory::open_path(path);
}

// O_NONBLOCK so that opening a fifo does not wait for its writer; taken off again because rings
// heed it for regular files too.
Result<std::unique_ptr<File>> PosixFileSystem::open_foreign(const std::string& path) {
  TRY_ASSIGN(int descriptor, open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, path));
  auto file = std::make_unique<PosixFile>(descriptor, path);
  struct stat status;
  if (::fstat(descriptor, &status) != 0) return os_error(errno, path);
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    return Error{Fault::kInvalid, 0, path + ": neither a regular file nor a block device"};
  }
  if (::fcntl(descriptor, F_SETFL, 0) != 0) return os_error(errno, path);
  return std::unique_ptr<File>(std::move(file));
}

Result<std::string> PosixFileSystem::canonical(const std::string& path) {
  std::error_code failure;
  std::string found = std::filesystem::canonical(path, failure);
  if (failure) return os_error(failure.value(), path);
  return found;
}

Result<void> PosixFileSystem::read(std::span<const ReadPiece> pieces) {
  for (const ReadPiece& piece : pieces) TRY(piece.file->read(piece.offset, piece.into));
  return {};
}

Result<void> PosixFileSystem::write(std::span<const WritePiece> pieces) {
  for (const WritePiece& piece : pieces) TRY(piece.file->write(piece.offset, piece.from));
  return {};
}

}  // namespace casdisk
