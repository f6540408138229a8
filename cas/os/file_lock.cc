#include "cas/os/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "cas/os/retry.h"

namespace casdisk {

namespace {

Error busy(int descriptor, const std::string& what) {
  char text[32];
  ssize_t count = retry_interrupted([&] { return ::pread(descriptor, text, sizeof(text), 0); });
  std::string pid(text, size_t(count > 0 ? count : 0));
  if (pid.empty() || pid.find_first_not_of("0123456789") != std::string::npos) pid = "unknown";
  return Error{Fault::kBusy, 0, fmt::format("{} is busy: held by pid {}", what, pid)};
}

// For messages only, so failures do not matter.
void write_pid(int descriptor) {
  const std::string pid = fmt::format("{}", ::getpid());
  if (::ftruncate(descriptor, 0) != 0) return;
  if (::pwrite(descriptor, pid.data(), pid.size(), 0) < 0) return;
}

// Whether `path` still names the file that we have locked: its last holder may have removed it.
bool is_current(int descriptor, const std::string& path) {
  struct stat locked;
  struct stat named;
  return ::fstat(descriptor, &locked) == 0 && ::stat(path.c_str(), &named) == 0 &&
         locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

// The pid that the lock's file names is true for as long as the kernel knows of a lock on it.
bool is_locked(uint64_t inode, int64_t pid) {
  std::FILE* locks = std::fopen("/proc/locks", "re");
  if (locks == nullptr) return false;
  bool found = false;
  char line[256];
  while (!found && std::fgets(line, sizeof(line), locks) != nullptr) {
    long long locked_pid = 0;
    unsigned long long locked_inode = 0;
    int count =
        std::sscanf(line, "%*u: FLOCK %*s WRITE %lld %*x:%*x:%llu", &locked_pid, &locked_inode);
    found = count == 2 && locked_pid == pid && locked_inode == inode;
  }
  std::fclose(locks);
  return found;
}

}  // namespace

Result<std::optional<int64_t>> FileLock::holder(const std::string& path) {
  int descriptor = retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (descriptor < 0 && errno == ENOENT) return std::optional<int64_t>();
  if (descriptor < 0) return os_error(errno, path);
  FileLock closing(descriptor);
  struct stat status;
  if (::fstat(descriptor, &status) != 0) return os_error(errno, path);
  char text[32] = "";
  ssize_t count = retry_interrupted([&] { return ::pread(descriptor, text, sizeof(text) - 1, 0); });
  long long pid = 0;
  if (count <= 0 || std::sscanf(text, "%lld", &pid) != 1) return std::optional<int64_t>();
  if (!is_locked(status.st_ino, pid)) return std::optional<int64_t>();
  return std::optional<int64_t>(pid);
}

Result<FileLock> FileLock::acquire(const std::string& path, const std::string& what) {
  for (;;) {
    int descriptor =
        retry_interrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); });
    if (descriptor < 0) return os_error(errno, path);
    FileLock lock(descriptor);
    if (retry_interrupted([&] { return ::flock(descriptor, LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) return busy(descriptor, what);
      return os_error(errno, path + ": lock");
    }
    if (!is_current(descriptor, path)) continue;
    write_pid(descriptor);
    return lock;
  }
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace casdisk
