// What a run took of the machine: time, memory, the medium.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace casdisk::bench {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }
  double milliseconds() const { return seconds() * 1e3; }

 private:
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

struct Memory {
  uint64_t anonymous_bytes = 0;
  uint64_t mapped_file_bytes = 0;  // pages of files, which the kernel takes back when it needs them
};
Memory resident_memory();

// What the device of a directory has been told to write since the machine started, by everybody
// (what the kernel says of a process counts a large page of the page cache as a whole, however
// little of it was changed). Nothing where the file system lies on no block device of its own.
std::optional<uint64_t> written_bytes(const std::string& directory);

// What the files below a directory take of the medium.
uint64_t bytes_below(const std::string& directory);

}  // namespace casdisk::bench
