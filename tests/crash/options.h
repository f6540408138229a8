// What the command line says: where the draws begin, and how long it may take.
#pragma once

#include <cstdint>

namespace casdisk {

struct CrashOptions {
  uint64_t first_seed = 1;
  uint64_t seed_count = 0;  // 0: as many as an ordinary run has
  double seconds = 0;       // of each test that draws; 0: as many seeds as said
  uint64_t change = 0;      // of a sweep: the accidents at that change alone
  bool traces = false;      // prints every operation
};

const CrashOptions& crash_options();

}  // namespace casdisk
