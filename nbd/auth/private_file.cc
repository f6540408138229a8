#include "nbd/auth/private_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "cas/os/hex.h"
#include "cas/os/posix_file.h"
#include "cas/os/retry.h"
#include "nbd/auth/crypto.h"

namespace casdisk {
namespace {

std::string temporary_name(const std::string& path) {
  std::array<uint8_t, 8> random;
  fill_random(random);
  return fmt::format("{}{}{}", path, kUnfinishedMark, hex_of(std::as_bytes(std::span(random))));
}

Result<void> check_is_private(const std::string& path, int descriptor, const FileOwner& owner) {
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0) return os_error(errno, path);
  if (!S_ISREG(status.st_mode)) return Error{Fault::kInvalid, 0, path + ": not a file"};
  if ((status.st_mode & 077) != 0) {
    return Error{
        Fault::kInvalid, 0,
        fmt::format("{}: others may read or change it (mode {:04o}), which is refused; once "
                    "you know that nobody has: chmod 600 {}",
                    path, status.st_mode & 07777, path)};
  }
  const bool is_fine = status.st_uid == 0 || status.st_uid == ::geteuid() ||
                       (::geteuid() == 0 && status.st_uid == owner.uid);
  if (is_fine) return {};
  return Error{
      Fault::kInvalid, 0,
      fmt::format("{}: it belongs to user {}, not to user {}{}: chown it", path, status.st_uid,
                  owner.uid, ::geteuid() == 0 ? " or root, who may have it in this store" : "")};
}

Result<void> sync_directory(const std::string& path) {
  const int descriptor =
      retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (descriptor < 0) return os_error(errno, path);
  PosixFile directory(descriptor, path);
  return directory.sync();
}

Result<void> write_whole(const std::string& path, std::string_view bytes, const FileOwner& owner) {
  const int descriptor = retry_interrupted([&] {
    return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  });
  if (descriptor < 0) return os_error(errno, path);
  PosixFile file(descriptor, path);
  if (owner.uid != ::geteuid() && ::fchown(descriptor, owner.uid, owner.gid) != 0) {
    return os_error(errno, fmt::format("{}: giving it to user {}", path, owner.uid));
  }
  TRY(file.write(0, std::as_bytes(std::span(bytes))));
  return file.sync();
}

// link() does not replace what is there, rename() does.
Result<void> put_in_place(const std::string& temporary, const std::string& path, IfThere if_there) {
  if (if_there == IfThere::kReplace) {
    return ::rename(temporary.c_str(), path.c_str()) == 0 ? Result<void>() : os_error(errno, path);
  }
  if (::link(temporary.c_str(), path.c_str()) != 0) return os_error(errno, path);
  return ::unlink(temporary.c_str()) == 0 ? Result<void>() : os_error(errno, temporary);
}

}  // namespace

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<std::string> read_private_file(const std::string& path, size_t max_bytes,
                                      const FileOwner& owner) {
  const int descriptor =
      retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (descriptor < 0) return os_error(errno, path);
  PosixFile file(descriptor, path);
  TRY(check_is_private(path, descriptor, owner));
  TRY_ASSIGN(const uint64_t size_bytes, file.size());
  if (size_bytes > max_bytes) {
    return Error{Fault::kTooLarge, 0, path + ": too large for what it should be", max_bytes,
                 size_bytes};
  }
  std::string bytes(size_bytes, '\0');
  TRY(file.read(0, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

Result<void> write_private_file(const std::string& path, std::string_view bytes, IfThere if_there,
                                const FileOwner& owner) {
  const std::string temporary = temporary_name(path);
  auto outcome = write_whole(temporary, bytes, owner);
  if (outcome.ok()) outcome = put_in_place(temporary, path, if_there);
  if (!outcome.ok()) {
    (void)::unlink(temporary.c_str());
    return outcome;
  }
  return sync_directory(directory_of(path));
}

void remove_unfinished(const std::string& path) {
  const std::string directory = directory_of(path);
  const std::string begin = path.substr(path.rfind('/') + 1) + std::string(kUnfinishedMark);
  DIR* listing = ::opendir(directory.c_str());
  if (listing == nullptr) return;
  std::vector<std::string> left_over;
  while (const dirent* entry = ::readdir(listing)) {
    const std::string_view name = entry->d_name;
    if (name.starts_with(begin)) left_over.push_back(fmt::format("{}/{}", directory, name));
  }
  ::closedir(listing);
  for (const std::string& file : left_over) ::unlink(file.c_str());
}

}  // namespace casdisk
