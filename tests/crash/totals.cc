#include "tests/crash/totals.h"

#include <fmt/format.h>

namespace casdisk {

void Totals::add(const SimulatedCounts& more) {
  runs++;
  counts.operations += more.operations;
  counts.changes += more.changes;
  counts.errors += more.errors;
  counts.failed_syncs += more.failed_syncs;
  counts.flipped_bits += more.flipped_bits;
  counts.process_deaths += more.process_deaths;
  counts.power_cuts += more.power_cuts;
}

std::string Totals::text() const {
  return fmt::format(
      "{} runs, {} steps, {} operations ({} changes), {} crash points, {} process deaths, {} power "
      "cuts, {} recoveries ({} interrupted); faults: {} errors, {} failed syncs, {} flipped bits, "
      "which {} steps reported",
      runs, steps, counts.operations, counts.changes, crash_points, counts.process_deaths,
      counts.power_cuts, recoveries, interrupted_recoveries, counts.errors, counts.failed_syncs,
      counts.flipped_bits, step_errors);
}

}  // namespace casdisk
