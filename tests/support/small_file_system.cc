#include "tests/support/small_file_system.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cas/os/result.h"

namespace casdisk {
namespace {

constexpr const char* kOthersFile = "/somebody else's";

}  // namespace

SmallFileSystem::SmallFileSystem(uint64_t bytes) {
  const std::string options = fmt::format("size={},mode=0700", bytes);
  if (::unshare(CLONE_NEWNS) == 0 &&
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
      ::mount("casdisk-test", path().c_str(), "tmpfs", 0, options.c_str()) == 0) {
    return;
  }
  skip_reason_ =
      fmt::format("a small file system cannot be mounted here: {}", std::strerror(errno));
}

SmallFileSystem::~SmallFileSystem() {
  if (skip_reason_.empty()) ::umount2(path().c_str(), MNT_DETACH);
}

uint64_t SmallFileSystem::free_bytes() const {
  struct statvfs status;
  CHECK(::statvfs(path().c_str(), &status) == 0);
  return uint64_t(status.f_bavail) * status.f_frsize;
}

void SmallFileSystem::fill_but(uint64_t bytes) {
  give_back();
  take_all_but(bytes);
}

// Others write and remove meanwhile: what was free a moment ago may be gone.
void SmallFileSystem::take_all_but(uint64_t bytes) {
  const int file = ::open((path() + kOthersFile).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  CHECK(file >= 0);
  struct stat status;
  CHECK(::fstat(file, &status) == 0);
  for (uint64_t free_now = free_bytes(); free_now > bytes; free_now = free_bytes()) {
    const uint64_t taken = free_now - bytes;
    if (::fallocate(file, 0, status.st_size, off_t(taken)) == 0) break;
    CHECK(errno == ENOSPC);
  }
  ::close(file);
}

void SmallFileSystem::give_back() { ::unlink((path() + kOthersFile).c_str()); }

}  // namespace casdisk
