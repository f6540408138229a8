// Long scripts, drawn: accidents at any moment, also of recoveries, and faults of the device.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "tests/crash/generator.h"
#include "tests/crash/options.h"
#include "tests/crash/run.h"

namespace casdisk {
namespace {

constexpr uint64_t kStepsOfRun = 80;

struct Flavor {
  bool has_accidents = true;
  SimulatedFaults faults;
};

// The failure, if there was one.
std::string play_seed(SimulatedComputer& base, uint64_t seed, const Flavor& flavor,
                      Totals& totals) {
  Generator generator(seed);
  Run run(base.copy(seed), one_of(generator.dice(), 1, 2) ? Use::kServer : Use::kCommand, totals);
  run.interrupt_recoveries(unsigned(seed % 4));
  run.set_faults(flavor.faults);
  for (uint64_t i = 0; i < kStepsOfRun; i++) {
    if (flavor.has_accidents && one_of(generator.dice(), 1, 6)) {
      run.plan({1 + generator.dice()() % 40,
                one_of(generator.dice(), 1, 2) ? Crash::kPowerFails : Crash::kProcessDies,
                Moment(generator.dice()() % 3)});
    }
    const Step step = generator.next(run.model());
    if (!run.step(step)) return fmt::format("step {} ({}): {}", i, describe(step), run.failure());
  }
  return run.finish() ? "" : "at the end: " + run.failure();
}

void play_seeds(const Flavor& flavor, uint64_t usual_count) {
  using Clock = std::chrono::steady_clock;
  Totals totals;
  const CrashOptions& options = crash_options();
  auto base = computer_with_store(1);
  const uint64_t count = options.seed_count > 0 ? options.seed_count : usual_count;
  const auto until = Clock::now() + std::chrono::duration<double>(options.seconds);
  for (uint64_t i = 0; options.seconds > 0 ? Clock::now() < until : i < count; i++) {
    const uint64_t seed = options.first_seed + i;
    const std::string failure = play_seed(*base, seed, flavor, totals);
    ASSERT_EQ(failure, "") << fmt::format("replay with --seed {} --seeds 1", seed);
  }
  std::printf("random: %s\n", totals.text().c_str());
}

TEST(CrashRandom, Accidents) { play_seeds({}, 150); }

TEST(CrashRandom, ErrorsAndFullDevices) {
  play_seeds({.has_accidents = false, .faults = {.io_error = 2000, .no_space = 3000}}, 100);
}

TEST(CrashRandom, FailedSyncs) {
  play_seeds({.has_accidents = true, .faults = {.failed_sync = 8000}}, 100);
}

TEST(CrashRandom, FlippedBitsOfPacks) {
  play_seeds({.has_accidents = true, .faults = {.flipped_bit = 20'000, .flips_only_in = "/packs/"}},
             60);
}

TEST(CrashRandom, Everything) {
  play_seeds({.has_accidents = true,
              .faults = {.io_error = 1000,
                         .no_space = 1000,
                         .failed_sync = 3000,
                         .flipped_bit = 5000,
                         .flips_only_in = "/packs/"}},
             100);
}

}  // namespace
}  // namespace casdisk
