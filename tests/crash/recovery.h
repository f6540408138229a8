// Recovery: after an accident new processes open the store, are interrupted as well, and the last
// one's view of it is judged.
#pragma once

#include <string>
#include <vector>

#include "tests/crash/model.h"
#include "tests/crash/observe.h"
#include "tests/crash/totals.h"

namespace casdisk {

// An accident at the `change`th change (SimulatedCounts) from when it is planned on.
struct Accident {
  uint64_t change = 0;
  Crash crash = Crash::kProcessDies;
  Moment moment = Moment::kBefore;
};

struct Recovery {
  bool after_power_cut = false;
  unsigned interruptions = 0;  // so often, at a change drawn from its first ones
};

// No process is left afterwards. The store must be as one of `worlds` allows; gives that one, as it
// was seen, or kDamaged with the reasons why it is none of them.
Result<Model> recover(SimulatedComputer& computer, const std::vector<Model>& worlds,
                      Recovery recovery, Totals& totals);

}  // namespace casdisk
