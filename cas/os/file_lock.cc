#include "cas/os/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <utility>

#include "cas/os/retry.h"

namespace casdisk {

namespace {

constexpr size_t kMaxHolderBytes = 512;

// Without it the holder is not known, but the lock holds: failures do not matter.
void write_holder(int descriptor, const std::string& note) {
  const std::string text = fmt::format("{} {}\n", ::getpid(), note);
  if (::ftruncate(descriptor, 0) != 0) return;
  if (::pwrite(descriptor, text.data(), text.size(), 0) < 0) return;
}

// What write_holder() wrote; nothing when it did not, or is at it.
std::optional<LockHolder> read_holder(int descriptor) {
  char text[kMaxHolderBytes];
  ssize_t count = retry_interrupted([&] { return ::pread(descriptor, text, sizeof(text), 0); });
  std::string_view line(text, size_t(std::max<ssize_t>(count, 0)));
  const size_t space = line.find(' '), end = line.find('\n');
  if (space == line.npos || end == line.npos || end < space) return std::nullopt;
  LockHolder holder;
  auto [rest, error] = std::from_chars(line.data(), line.data() + space, holder.pid);
  if (error != std::errc() || rest != line.data() + space) return std::nullopt;
  holder.note = line.substr(space + 1, end - space - 1);
  return holder;
}

Error busy(int descriptor, const std::string& what) {
  auto holder = read_holder(descriptor);
  const std::string pid = holder ? std::to_string(holder->pid) : "unknown";
  return Error{Fault::kBusy, 0, fmt::format("{} is busy: held by pid {}", what, pid)};
}

// Whether `path` still names the file that we have locked: its last holder may have removed it.
bool is_current(int descriptor, const std::string& path) {
  struct stat locked;
  struct stat named;
  return ::fstat(descriptor, &locked) == 0 && ::stat(path.c_str(), &named) == 0 &&
         locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

// The processes that hold a lock of the kind, "WRITE" or "READ", on the file, as the kernel says.
// Its lines: "1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF", the pid and the inode in decimal.
std::vector<int64_t> pids_of_locks(uint64_t inode, const char* kind) {
  std::vector<int64_t> pids;
  std::FILE* locks = std::fopen("/proc/locks", "re");
  if (locks == nullptr) return pids;
  const std::string file = fmt::format(":{} ", inode);
  const std::string before_pid = fmt::format(" {} ", kind);
  char line[256];
  while (std::fgets(line, sizeof(line), locks) != nullptr) {
    std::string_view text = line;
    const size_t at = text.find(before_pid);
    if (at == text.npos || text.find(" FLOCK ") == text.npos || text.find(file) == text.npos) {
      continue;
    }
    int64_t pid = 0;
    const char* digits = text.data() + at + before_pid.size();
    if (std::from_chars(digits, text.data() + text.size(), pid).ec == std::errc()) {
      pids.push_back(pid);
    }
  }
  std::fclose(locks);
  return pids;
}

// The pid that the lock's file names is true for as long as the kernel knows of a lock on it.
bool is_locked(uint64_t inode, int64_t pid) {
  const auto pids = pids_of_locks(inode, "WRITE");
  return std::find(pids.begin(), pids.end(), pid) != pids.end();
}

}  // namespace

Result<std::optional<LockHolder>> FileLock::holder(const std::string& path) {
  int descriptor = retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (descriptor < 0 && errno == ENOENT) return std::optional<LockHolder>();
  if (descriptor < 0) return os_error(errno, path);
  FileLock closing(descriptor);
  struct stat status;
  if (::fstat(descriptor, &status) != 0) return os_error(errno, path);
  auto holder = read_holder(descriptor);
  if (holder && !is_locked(status.st_ino, holder->pid)) holder.reset();
  return holder;
}

Result<FileLock> FileLock::lock(const std::string& path, const std::string& what, int operation) {
  for (;;) {
    int descriptor =
        retry_interrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); });
    if (descriptor < 0) return os_error(errno, path);
    FileLock lock(descriptor);
    if (retry_interrupted([&] { return ::flock(descriptor, operation | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) return busy(descriptor, what);
      return os_error(errno, path + ": lock");
    }
    if (is_current(descriptor, path)) return lock;
  }
}

Result<FileLock> FileLock::acquire(const std::string& path, const std::string& what,
                                   const std::string& note) {
  CHECK(note.size() < kMaxHolderBytes / 2 && note.find('\n') == note.npos);
  TRY_ASSIGN(FileLock acquired, lock(path, what, LOCK_EX));
  write_holder(acquired.descriptor_, note);
  return acquired;
}

Result<FileLock> FileLock::share(const std::string& path, const std::string& what) {
  return lock(path, what, LOCK_SH);
}

Result<std::vector<int64_t>> FileLock::sharers(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0) return pids_of_locks(status.st_ino, "READ");
  if (errno == ENOENT) return std::vector<int64_t>();
  return os_error(errno, path);
}

FileLock::FileLock(FileLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), held_(std::move(other.held_)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(held_, other.held_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace casdisk
