#include "cas/os/memory.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace casdisk {
namespace {

constexpr uint64_t kUnknown = uint64_t(1) << 30;

std::string first_bytes_of(const char* path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "re"), std::fclose);
  std::string text(4096, 0);
  text.resize(file ? std::fread(text.data(), 1, text.size(), file.get()) : 0);
  return text;
}

std::optional<uint64_t> number_at(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

// "MemAvailable:    3866624 kB"
std::optional<uint64_t> available_in_machine() {
  constexpr std::string_view kKey = "MemAvailable:";
  const std::string text = first_bytes_of("/proc/meminfo");
  const size_t at = text.find(kKey);
  if (at == text.npos) return std::nullopt;
  auto kilobytes = number_at(std::string_view(text).substr(at + kKey.size()));
  return kilobytes ? std::optional(*kilobytes * 1024) : std::nullopt;
}

// Of a container, which sees its own group as the root; "max" is no limit.
std::optional<uint64_t> available_in_group() {
  auto limit = number_at(first_bytes_of("/sys/fs/cgroup/memory.max"));
  auto used = number_at(first_bytes_of("/sys/fs/cgroup/memory.current"));
  if (!limit || !used) return std::nullopt;
  return *limit > *used ? *limit - *used : 0;
}

}  // namespace

uint64_t available_memory_bytes() {
  const uint64_t machine = available_in_machine().value_or(kUnknown);
  return std::min(machine, available_in_group().value_or(machine));
}

}  // namespace casdisk
