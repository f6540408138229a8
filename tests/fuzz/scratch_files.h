// ScratchFiles: a directory of real files, kept in memory where there is a tmpfs, for targets that
// decode a file as a whole.
#pragma once

#include <memory>
#include <string>

#include "cas/os/bytes.h"
#include "cas/os/file.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {

class ScratchFiles {
 public:
  ScratchFiles();
  Directory& directory() { return *directory_; }

  // The file is `bytes` and nothing else.
  void write(const std::string& name, std::span<const std::byte> bytes);
  Bytes read(const std::string& name);

 private:
  TemporaryDirectory place_;
  std::unique_ptr<Directory> directory_;
};

}  // namespace casdisk
