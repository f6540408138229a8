// SmallFileSystem: a file system of so many bytes (tmpfs), for tests of what is full.
//
// It needs the right to mount, and takes the whole process into a mount namespace of its own, so
// that nothing is left mounted however the test ends.
#pragma once

#include <cstdint>
#include <string>

#include "tests/support/temporary_directory.h"

namespace casdisk {

class SmallFileSystem {
 public:
  explicit SmallFileSystem(uint64_t bytes);
  ~SmallFileSystem();
  SmallFileSystem(const SmallFileSystem&) = delete;
  SmallFileSystem& operator=(const SmallFileSystem&) = delete;

  // Empty: it is there.
  const std::string& skip_reason() const { return skip_reason_; }
  const std::string& path() const { return directory_.path(); }

  uint64_t free_bytes() const;
  // Somebody else's file takes all but about so many bytes, also of what it had before.
  void fill_but(uint64_t bytes);
  // That file takes all but about so many bytes of what is free now.
  void take_all_but(uint64_t bytes);
  void give_back();

 private:
  // Fixed after construction.
  TemporaryDirectory directory_;
  std::string skip_reason_;
};

}  // namespace casdisk
