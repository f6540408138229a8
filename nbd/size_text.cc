#include "nbd/size_text.h"

#include <fmt/format.h>

#include <charconv>

namespace casdisk {
namespace {

constexpr std::string_view kUnits = "KMGTPE";

}  // namespace

Result<uint64_t> parse_size(std::string_view text, std::string_view what) {
  Error invalid{
      Fault::kInvalid, 0,
      fmt::format("{} {:?} is not a size: give bytes, or a number with K, M, G, T, P or E", what,
                  text)};
  uint64_t number = 0;
  auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit = text.substr(size_t(parsed.ptr - text.data()));
  if (parsed.ec != std::errc()) return invalid;
  unsigned shift = 0;
  if (!unit.empty() && unit != "B" && unit != "b") {
    char letter = unit[0] >= 'a' ? char(unit[0] - 'a' + 'A') : unit[0];
    size_t index = kUnits.find(letter);
    std::string_view rest = unit.substr(1);
    if (index == kUnits.npos || (!rest.empty() && rest != "B" && rest != "iB")) return invalid;
    shift = 10 * unsigned(index + 1);
  }
  if (number > kMaxSizeBytes >> shift) {
    invalid.context =
        fmt::format("{} {} is too large: at most {} bytes", what, text, kMaxSizeBytes);
    return invalid;
  }
  return number << shift;
}

std::string size_text(uint64_t bytes) {
  unsigned unit = 0;
  while (unit < kUnits.size() && bytes >> (10 * (unit + 1)) != 0) unit++;
  if (unit == 0) return fmt::format("{}", bytes);
  unsigned shift = 10 * unit;
  if ((bytes & ((uint64_t(1) << shift) - 1)) == 0) {
    return fmt::format("{}{}", bytes >> shift, kUnits[unit - 1]);
  }
  return fmt::format("{:.1f}{}", double(bytes) / double(uint64_t(1) << shift), kUnits[unit - 1]);
}

std::string plural(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace casdisk
