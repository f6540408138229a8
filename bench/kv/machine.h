// What a run took of the machine: time, memory, the medium.
#pragma once

#include <chrono>
#include <cstdint>
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

// What this process has had written to the device, directly or later by the kernel.
uint64_t written_bytes();

// What the files below a directory take of the medium.
uint64_t bytes_below(const std::string& directory);

}  // namespace casdisk::bench
