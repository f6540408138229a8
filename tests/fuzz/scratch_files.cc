#include "tests/fuzz/scratch_files.h"

#include "cas/os/posix_file_system.h"

namespace casdisk {
namespace {

template <typename T>
T must(Result<T> result) {
  CHECK(result.ok());
  return std::move(result).value();
}

}  // namespace

ScratchFiles::ScratchFiles() : directory_(must(PosixDirectory::open_path(place_.path()))) {}

void ScratchFiles::write(const std::string& name, std::span<const std::byte> bytes) {
  auto file = must(directory_->open(name, OpenMode::kCreateAny));
  CHECK(file->resize(0).ok() && file->write(0, bytes).ok());
}

Bytes ScratchFiles::read(const std::string& name) {
  auto file = must(directory_->open(name, OpenMode::kRead));
  Bytes bytes(must(file->size()));
  CHECK(file->read(0, bytes).ok());
  return bytes;
}

}  // namespace casdisk
