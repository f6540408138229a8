#include "bench/kv/options.h"

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace casdisk::bench {
namespace {

constexpr const char* kUsage =
    "usage: casdisk-kv-bench [--rows NAME,...] [--backends NAME,...] [--count N]\n"
    "                        [--seconds S] [--directory DIR] [--json]\n"
    "\n"
    "Measures key-value stores through their front, each in a process of its own.\n"
    "  --rows       those whose names begin so: put, get, fill, compact, prefix,\n"
    "               parallel, durable, locations (default: all)\n"
    "  --backends   memory, lmdb, rocksdb, hyperv (default: all)\n"
    "  --count      locations of 32 bytes to 16 (default: 16777216)\n"
    "  --seconds    that a rate is measured for (default: 1)\n"
    "  --directory  on the medium that is measured (default: the current one)\n";

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    text = comma == text.npos ? std::string_view() : text.substr(comma + 1);
  }
  return parts;
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0;
}

bool read_value(std::string_view name, std::string_view value, Options& options) {
  if (name == "--rows") {
    options.rows = split(value);
  } else if (name == "--backends") {
    options.backends = split(value);
  } else if (name == "--directory") {
    options.directory = value;
  } else if (name == "--count") {
    return read_number(value, options.count);
  } else if (name == "--seconds") {
    return read_number(value, options.seconds);
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::optional<Options> parse_options(int argument_count, char** arguments) {
  Options options;
  for (int i = 1; i < argument_count; i++) {
    const std::string_view name = arguments[i];
    if (name == "--json") {
      options.is_json = true;
    } else if (i + 1 == argument_count || !read_value(name, arguments[++i], options)) {
      std::fputs(kUsage, stderr);
      return std::nullopt;
    }
  }
  return options;
}

}  // namespace casdisk::bench
