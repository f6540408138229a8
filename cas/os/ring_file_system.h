// RingFileSystem: PosixFileSystem's files and directories, with batches of two pieces and more
// going to the calling thread's ring. A single piece is a plain call: a ring would only cost more.
#pragma once

#include "cas/os/posix_file_system.h"

namespace casdisk {

class RingFileSystem : public FileSystem {
 public:
  Result<std::unique_ptr<Directory>> open_directory(const std::string& path) override {
    return plain_.open_directory(path);
  }
  Result<std::unique_ptr<File>> open_foreign(const std::string& path) override {
    return plain_.open_foreign(path);
  }
  Result<std::string> canonical(const std::string& path) override { return plain_.canonical(path); }
  Result<void> read(std::span<const ReadPiece> pieces) override;
  Result<void> write(std::span<const WritePiece> pieces) override;
  const std::string& boot_id() const override { return plain_.boot_id(); }
  std::string_view name() const override { return "uring"; }

 private:
  PosixFileSystem plain_;
};

}  // namespace casdisk
