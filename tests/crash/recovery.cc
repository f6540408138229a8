#include "tests/crash/recovery.h"

#include <fmt/format.h>

namespace casdisk {
namespace {

// A recovery of these small stores makes about so many changes.
constexpr uint64_t kChangesOfRecovery = 24;

Accident draw_accident(Dice& dice) {
  Accident accident;
  accident.change = 1 + dice() % kChangesOfRecovery;
  accident.crash = one_of(dice, 1, 2) ? Crash::kPowerFails : Crash::kProcessDies;
  accident.moment = Moment(dice() % 3);
  return accident;
}

Result<Observed> open_and_observe(SimulatedComputer& computer) {
  TRY_ASSIGN(auto worker, Worker::start(computer, Use::kCommand));
  return observe(*worker);
}

void forget_accident(SimulatedComputer& computer) {
  computer.crash_at(0, Crash::kProcessDies, Moment::kBefore);
}

// What was seen is what it is from now on.
Model adopt(Model world, const Observed& observed, bool after_power_cut) {
  for (auto& [name, disk] : world.disks) {
    const Observed::DiskContent& seen = observed.disks.at(name);
    disk.state.found(seen.bytes, after_power_cut || seen.was_poisoned);
    disk.may_be_poisoned = disk.must_be_poisoned = false;
  }
  return world;
}

// Only a power cut makes up for it: then what was flushed counts, and nothing else.
std::string forgotten_poison(const Model& world, const Observed& observed) {
  for (const auto& [name, disk] : world.disks) {
    if (!disk.must_be_poisoned || observed.disks.at(name).was_poisoned) continue;
    return fmt::format("disk {} is opened as if no sync of it had failed", name);
  }
  return "";
}

}  // namespace

Result<Model> recover(SimulatedComputer& computer, const std::vector<Model>& worlds,
                      Recovery recovery, Totals& totals) {
  totals.recoveries++;
  forget_accident(computer);
  for (unsigned interruptions = 0;; interruptions++) {
    Accident accident;
    if (interruptions < recovery.interruptions) {
      accident = draw_accident(computer.dice());
      computer.crash_at(accident.change, accident.crash, accident.moment);
      totals.crash_points++;
    }
    auto observed = open_and_observe(computer);
    const bool was_interrupted = computer.has_crashed();
    forget_accident(computer);
    if (was_interrupted) {
      totals.interrupted_recoveries++;
      recovery.after_power_cut |= accident.crash == Crash::kPowerFails;
      continue;
    }
    computer.end_processes();
    if (!observed.ok()) return std::move(observed.error());
    std::string reasons;
    for (const Model& world : worlds) {
      std::string wrong = mismatch(world, observed.value(), recovery.after_power_cut);
      // An interrupted recovery may have accepted it.
      if (wrong.empty() && interruptions == 0) wrong = forgotten_poison(world, observed.value());
      if (wrong.empty()) return adopt(world, observed.value(), recovery.after_power_cut);
      reasons += "\n  " + wrong;
    }
    return Error{Fault::kDamaged, 0, (recovery.after_power_cut ? "a power cut:" : ":") + reasons};
  }
}

}  // namespace casdisk
