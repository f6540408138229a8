#include "nbd/cli/format.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace casdisk {
namespace {

std::tm utc(int64_t time_ns) {
  int64_t seconds = time_ns / 1'000'000'000 - (time_ns % 1'000'000'000 < 0 ? 1 : 0);
  std::time_t time = seconds;
  std::tm parts{};
  gmtime_r(&time, &parts);
  return parts;
}

}  // namespace

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = double(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    unit++;
  }
  std::string digits = fmt::format("{:.1f}", value);
  if (digits.ends_with(".0") || value >= 100) digits = fmt::format("{:.0f}", value);
  return digits + " " + kUnits[unit];
}

std::string human_duration(double seconds) {
  if (seconds < 9.995) return fmt::format("{:.2f} s", seconds);
  auto whole = uint64_t(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string utc_text(int64_t time_ns) { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", utc(time_ns)); }

std::string utc_name(int64_t time_ns) { return fmt::format("{:%Y-%m-%dT%H.%M.%SZ}", utc(time_ns)); }

std::string short_id(const ChunkId& id) { return to_hex(id).substr(0, 12); }

std::string table_text(const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";
  std::vector<size_t> widths(rows[0].size());
  std::vector<bool> right(rows[0].size());
  for (size_t column = 0; column < widths.size(); column++) {
    right[column] = rows[0][column].starts_with(">");
    for (const auto& row : rows) widths[column] = std::max(widths[column], row[column].size());
    if (right[column] && widths[column] == rows[0][column].size()) {
      bool filled = std::any_of(rows.begin() + 1, rows.end(), [&](const auto& row) {
        return row[column].size() == widths[column];
      });
      if (!filled) widths[column]--;  // the '>' itself is not printed
    }
  }
  std::string text;
  for (size_t i = 0; i < rows.size(); i++) {
    std::string line;
    for (size_t column = 0; column < widths.size(); column++) {
      std::string cell = rows[i][column].substr(i == 0 && right[column] ? 1 : 0);
      if (column > 0) line += "  ";
      line += right[column] ? fmt::format("{:>{}}", cell, widths[column])
                            : fmt::format("{:<{}}", cell, widths[column]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace casdisk
