// What casdisk-kv-bench is asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace casdisk::bench {

struct Options {
  std::vector<std::string> backends = {"memory", "lmdb", "rocksdb", "hyperv"};
  std::vector<std::string> rows;       // beginnings of their names; none: all
  uint64_t count = uint64_t(1) << 24;  // of locations
  double seconds = 1;                  // that a rate is measured for
  std::string directory = ".";         // below which the stores are made, and removed
  bool is_json = false;
};

// Nothing, after saying why or how it is used, when it is not to run.
std::optional<Options> parse_options(int argument_count, char** arguments);

}  // namespace casdisk::bench
