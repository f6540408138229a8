#include "nbd/duration_text.h"

#include <fmt/format.h>

#include <charconv>

namespace casdisk {
namespace {

struct Unit {
  std::string_view name;
  uint64_t milliseconds;
};
constexpr Unit kUnits[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}, {"w", 604'800'000},
};

}  // namespace

Result<uint64_t> parse_duration(std::string_view text, std::string_view what) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view name = text.substr(size_t(parsed.ptr - text.data()));
  for (const Unit& unit : kUnits) {
    const bool is_it = parsed.ec == std::errc() && name == unit.name;
    if (is_it && number <= UINT64_MAX / unit.milliseconds) return number * unit.milliseconds;
  }
  return Error{Fault::kInvalid, 0,
               fmt::format("{} {:?} is not a time: give a whole number with ms, s, m, h, d or w, "
                           "such as 15m",
                           what, text)};
}

}  // namespace casdisk
