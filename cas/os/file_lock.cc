#include "cas/os/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
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

}  // namespace

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
