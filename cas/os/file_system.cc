#include "cas/os/file_system.h"

#include "cas/os/posix_file_system.h"
#include "cas/os/ring.h"
#include "cas/os/ring_file_system.h"

namespace casdisk {

std::optional<IoChoice> io_choice_from_name(std::string_view name) {
  if (name == "auto") return IoChoice::kAuto;
  if (name == "uring") return IoChoice::kUring;
  if (name == "posix") return IoChoice::kPosix;
  return std::nullopt;
}

Result<std::unique_ptr<FileSystem>> make_file_system(IoChoice choice, std::string* note) {
  if (note != nullptr) note->clear();
  if (choice == IoChoice::kPosix) return std::unique_ptr<FileSystem>(new PosixFileSystem());
  auto probed = Ring::probe();
  if (probed.ok()) return std::unique_ptr<FileSystem>(new RingFileSystem());
  if (choice == IoChoice::kUring) return std::move(probed.error());
  if (note != nullptr) *note = "io_uring is not used: " + describe(probed.error());
  return std::unique_ptr<FileSystem>(new PosixFileSystem());
}

}  // namespace casdisk
