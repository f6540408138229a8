#include "tests/support/temporary_directory.h"

#include <cstdlib>
#include <filesystem>

#include "cas/os/result.h"

namespace casdisk {

TemporaryDirectory::TemporaryDirectory() {
  path_ = (std::filesystem::temp_directory_path() / "casdisk-test-XXXXXX").string();
  CHECK(::mkdtemp(path_.data()) != nullptr);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace casdisk
