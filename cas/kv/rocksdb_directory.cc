#include "cas/kv/rocksdb_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "cas/os/bytes.h"
#include "cas/os/posix_file_system.h"
#include "cas/os/replace_file.h"

namespace casdisk {
namespace {

constexpr const char* kOwnerFile = "/owner";       // made first of all, and never removed
constexpr const char* kDatabaseFile = "/CURRENT";  // RocksDB's, made last of all
constexpr std::string_view kRunFile = "run";
constexpr size_t kMaxRunBytes = 256;
constexpr uint64_t kBlockBytes = 512;  // of st_blocks

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<void> sync_directory(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return os_error(errno, path);
  const int failed = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (failed != 0) return os_error(failed, path + ": sync of the directory");
  return {};
}

// A store's files are many and have common names: they do not go where something else is.
Result<void> check_is_free(const std::string& directory) {
  if (exists(directory + kOwnerFile) || exists(directory + kDatabaseFile)) return {};
  std::error_code failed;
  const bool is_empty = std::filesystem::is_empty(directory, failed);
  if (failed) return os_error(failed.value(), directory);
  if (is_empty) return {};
  return Error{
      Fault::kInvalid, 0,
      directory + ": there is something else in this directory; name an empty one, or none"};
}

// Boot and mount, in words.
Result<std::string> current_run(Directory& directory) {
  TRY_ASSIGN(const uint64_t mount_id, directory.mount_id());
  return fmt::format("boot {} mount {}\n", PosixFileSystem().boot_id(), mount_id);
}

Result<std::string> noted_run(Directory& directory) {
  TRY_ASSIGN(const auto file, directory.open(kRunFile, OpenMode::kRead));
  TRY_ASSIGN(const uint64_t bytes, file->size());
  std::string noted(std::min<uint64_t>(bytes, kMaxRunBytes), '\0');
  TRY(file->read(0, std::as_writable_bytes(std::span(noted))));
  return noted;
}

}  // namespace

Result<FileLock> take_rocksdb_directory(const std::string& directory, bool may_create) {
  if (!may_create && !exists(directory + kDatabaseFile)) {
    return os_error(errno, directory + kDatabaseFile);
  }
  if (::mkdir(directory.c_str(), 0700) == 0) {
    TRY(sync_directory(directory + "/.."));
  } else if (errno != EEXIST) {
    return os_error(errno, directory);
  }
  TRY(check_is_free(directory));
  auto lock = FileLock::acquire(directory + kOwnerFile, directory);
  if (!lock.ok() && lock.error().fault == Fault::kBusy) {
    lock.error().context +=
        "; one process at a time has a RocksDB store: end that one, or ask it; an lmdb: store is "
        "for several";
  }
  return lock;
}

bool is_same_rocksdb_run(const std::string& directory) {
  auto opened = PosixDirectory::open_path(directory);
  if (!opened.ok()) return false;
  const auto current = current_run(*opened.value());
  const auto noted = noted_run(*opened.value());
  return current.ok() && noted.ok() && current.value() == noted.value();
}

void note_rocksdb_run(const std::string& directory) {
  auto opened = PosixDirectory::open_path(directory);
  if (!opened.ok()) return;
  const auto current = current_run(*opened.value());
  if (current.ok()) (void)replace_file(*opened.value(), kRunFile, as_bytes(current.value())).ok();
}

Result<void> publish_rocksdb_copy(const std::string& path,
                                  const std::function<Result<void>(const std::string& at)>& make) {
  std::string name = path;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  struct stat status;
  if (::lstat(name.c_str(), &status) == 0) return os_error(EEXIST, name);
  std::string staging = name + ".XXXXXX";
  if (::mkdtemp(staging.data()) == nullptr) return os_error(errno, name);
  const std::string made = staging + "/store";
  auto done = make(made);
  if (done.ok() && ::chmod(made.c_str(), 0700) != 0) done = os_error(errno, made);
  if (done.ok()) done = sync_directory(made);
  if (done.ok() &&
      ::renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE) != 0) {
    done = os_error(errno, name);
  }
  if (done.ok()) done = sync_directory(name + "/..");
  std::error_code ignored;
  std::filesystem::remove_all(staging, ignored);
  return done;
}

uint64_t rocksdb_directory_bytes(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(directory, failed), end; !failed && at != end;
       at.increment(failed)) {
    struct stat status;
    if (::lstat(at->path().c_str(), &status) == 0)
      bytes += uint64_t(status.st_blocks) * kBlockBytes;
  }
  return bytes;
}

}  // namespace casdisk
