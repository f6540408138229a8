// crash_tests [gtest's options] [--seed N] [--seeds COUNT] [--seconds S | --hours H]
//             [--change N] [--trace 1]
//
// The same from the environment: CASDISK_CRASH_SEED, CASDISK_CRASH_SEEDS, CASDISK_CRASH_SECONDS.
// Without them every run is the same. --seed N begins with N; with --seeds 1 nothing else is
// played.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/crash/options.h"

namespace casdisk {
namespace {

CrashOptions options;

// One word: this program knows no other state.
bool set_option(const std::string& name, const char* value) {
  char* end = nullptr;
  const double number = std::strtod(value, &end);
  if (end == value || *end != '\0' || number < 0) return false;
  if (name == "seed") {
    options.first_seed = std::strtoull(value, nullptr, 10);
  } else if (name == "change") {
    options.change = uint64_t(number);
  } else if (name == "trace") {
    options.traces = number != 0;
  } else if (name == "seeds") {
    options.seed_count = std::strtoull(value, nullptr, 10);
  } else if (name == "seconds") {
    options.seconds = number;
  } else if (name == "hours") {
    options.seconds = number * 3600;
  } else {
    return false;
  }
  return true;
}

bool read_environment() {
  const std::pair<const char*, const char*> names[] = {{"CASDISK_CRASH_SEED", "seed"},
                                                       {"CASDISK_CRASH_SEEDS", "seeds"},
                                                       {"CASDISK_CRASH_SECONDS", "seconds"}};
  for (const auto& [variable, option] : names) {
    const char* value = std::getenv(variable);
    if (value == nullptr || *value == '\0') continue;
    if (!set_option(option, value))
      return std::fprintf(stderr, "%s: not a number\n", variable), false;
  }
  return true;
}

}  // namespace

const CrashOptions& crash_options() { return options; }

}  // namespace casdisk

int main(int count, char** words) {
  testing::InitGoogleTest(&count, words);
  if (!casdisk::read_environment()) return 2;
  for (int i = 1; i < count; i++) {
    const std::string word = words[i];
    const size_t equals = word.find('=');
    const bool is_next = equals == word.npos && i + 1 < count;
    const char* value = equals != word.npos ? words[i] + equals + 1 : is_next ? words[++i] : "";
    if (word.starts_with("--") &&
        casdisk::set_option(word.substr(2, equals == word.npos ? equals : equals - 2), value)) {
      continue;
    }
    std::fprintf(stderr,
                 "usage: crash_tests [--seed N] [--seeds COUNT] [--seconds S | --hours H] "
                 "[--change N] [--trace 1]\n");
    return 2;
  }
  return RUN_ALL_TESTS();
}
