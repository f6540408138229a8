#include "tests/support/temporary_directory.h"

#include <cstdlib>
#include <filesystem>

#include "cas/os/result.h"

namespace casdisk {

namespace {

constexpr const char* kMemoryPath = "/dev/shm";
constexpr uintmax_t kRoomyBytes = uintmax_t(256) << 20;

bool has_roomy_memory() {
  std::error_code error;
  const auto space = std::filesystem::space(kMemoryPath, error);
  return !error && space.available >= kRoomyBytes;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory(Medium medium) {
  const bool in_memory = medium == Medium::kMemory && has_roomy_memory();
  const std::filesystem::path parent =
      in_memory ? kMemoryPath : std::filesystem::temp_directory_path();
  path_ = (parent / "casdisk-test-XXXXXX").string();
  CHECK(::mkdtemp(path_.data()) != nullptr);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace casdisk
