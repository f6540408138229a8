// What the implementations of the I/O seam share: repeating interrupted calls, and the words for a
// file that ends too early.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "cas/os/result.h"

namespace casdisk {

// Repeats a system call for as long as signals interrupt it.
template <typename Call>
auto retry_interrupted(Call call) {
  for (;;) {
    auto outcome = call();
    if (outcome != -1 || errno != EINTR) return outcome;
  }
}

inline Error shorter_than_expected(const std::string& path, uint64_t offset, size_t length) {
  return Error{Fault::kDamaged, 0,
               fmt::format("{}: shorter than expected, {} bytes at {} are not all there", path,
                           length, offset)};
}

}  // namespace casdisk
