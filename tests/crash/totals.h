// Totals: what all runs of a test did; printed at its end.
#pragma once

#include <cstdint>
#include <string>

#include "tests/support/simulated_computer.h"

namespace casdisk {

struct Totals {
  uint64_t runs = 0, steps = 0, crash_points = 0, recoveries = 0, interrupted_recoveries = 0;
  uint64_t step_errors = 0;
  SimulatedCounts counts;

  void add(const SimulatedCounts& more);  // of one more run
  std::string text() const;
};

}  // namespace casdisk
