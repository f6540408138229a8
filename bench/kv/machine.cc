#include "bench/kv/machine.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>

namespace casdisk::bench {
namespace {

// The number behind a word at the beginning of a line, 0 where there is none.
uint64_t number_in(const char* path, const std::string& word) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(word)) return std::stoull(line.substr(word.size()));
  }
  return 0;
}

}  // namespace

Memory resident_memory() {
  return {number_in("/proc/self/status", "RssAnon:") * 1024,
          number_in("/proc/self/status", "RssFile:") * 1024};
}

// The seventh number of a device's statistics: sectors written, of 512 bytes
// (Documentation/block/stat.rst of Linux).
std::optional<uint64_t> written_bytes(const std::string& directory) {
  struct stat status;
  if (::stat(directory.c_str(), &status) != 0) return std::nullopt;
  std::ifstream file("/sys/dev/block/" + std::to_string(major(status.st_dev)) + ":" +
                     std::to_string(minor(status.st_dev)) + "/stat");
  uint64_t number = 0;
  for (int i = 0; i < 7; i++) file >> number;
  return file ? std::optional(number * 512) : std::nullopt;
}

uint64_t bytes_below(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code failed;
  for (std::filesystem::recursive_directory_iterator at(directory, failed), end;
       !failed && at != end; at.increment(failed)) {
    struct stat status;
    if (::lstat(at->path().c_str(), &status) == 0) bytes += uint64_t(status.st_blocks) * 512;
  }
  return bytes;
}

}  // namespace casdisk::bench
