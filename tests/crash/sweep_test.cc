// The sweep: short scripts, and an accident of each sort at every change that they make.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/crash/options.h"
#include "tests/crash/run.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr uint64_t kSize = 200'000;

Step create(const std::string& disk, uint64_t size_bytes = kSize) {
  return {Action::kCreate, disk, 0, size_bytes};
}
Step create_over_fallback(const std::string& disk, uint64_t size_bytes = kSize) {
  return {Action::kCreate, disk, 0, size_bytes, 1};
}
Step write(const std::string& disk, uint64_t offset, uint64_t length, uint64_t content) {
  return {Action::kWrite, disk, offset, length, content};
}
Step zero(const std::string& disk, uint64_t offset, uint64_t length) {
  return {Action::kZero, disk, offset, length};
}
Step trim(const std::string& disk, uint64_t offset, uint64_t length) {
  return {Action::kTrim, disk, offset, length};
}
Step resize(const std::string& disk, uint64_t size_bytes) {
  return {Action::kResize, disk, 0, size_bytes};
}
Step on(Action action, const std::string& disk, const std::string& name = "") {
  return {action, disk, 0, 0, 0, name};
}
Step flush(const std::string& disk) { return on(Action::kFlush, disk); }
Step cut(const std::string& disk, const std::string& name) { return on(Action::kCut, disk, name); }
Step seal(const std::string& disk) { return on(Action::kSeal, disk); }
Step checkpoint(const std::string& disk, const std::string& name) {
  return on(Action::kCheckpoint, disk, name);
}
Step rollback(const std::string& disk, const std::string& name) {
  return on(Action::kRollback, disk, name);
}
Step fork(const std::string& disk, const std::string& name, const std::string& made) {
  return {Action::kFork, disk, 0, 0, 0, name, made};
}

using Script = std::vector<Step>;

uint64_t count_changes(SimulatedComputer& base, uint64_t seed, const Script& script, Use use,
                       Totals& totals) {
  Run run(base.copy(seed), use, totals);
  std::string failure;
  for (const Step& step : script) {
    if (!run.step(step)) failure = describe(step) + ": " + run.failure();
  }
  EXPECT_EQ(failure, "");
  return run.computer().counts().changes;
}

void sweep(const Script& script, Use use) {
  Totals totals;
  const uint64_t first_seed = crash_options().first_seed;
  const uint64_t seed_count = std::max<uint64_t>(1, crash_options().seed_count);
  auto base = computer_with_store(first_seed);
  for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
    const uint64_t changes = count_changes(*base, seed, script, use, totals);
    for (uint64_t change = 1; change <= changes; change++) {
      if (crash_options().change != 0 && crash_options().change != change) continue;
      for (Crash crash : {Crash::kProcessDies, Crash::kPowerFails}) {
        for (Moment moment : {Moment::kBefore, Moment::kMiddle, Moment::kAfter}) {
          // What a server does otherwise is little: one moment of each change will do.
          if (use == Use::kServer && uint64_t(moment) != (change + uint64_t(crash)) % 3) continue;
          Run run(base->copy(seed), use, totals);
          run.plan({change, crash, moment});
          run.interrupt_recoveries(unsigned((change + uint64_t(moment)) % 4));
          const std::string failure = play(run, script);
          ASSERT_EQ(failure, "") << fmt::format(
              "--seed {} --change {} (of {}): {}, moment {}", seed, change, changes,
              crash == Crash::kPowerFails ? "power cut" : "death", int(moment));
          ASSERT_TRUE(run.had_accident());
        }
      }
    }
  }
  std::printf("sweep: %s\n", totals.text().c_str());
}

void sweep_both(const Script& script) {
  sweep(script, Use::kCommand);
  if (!testing::Test::HasFatalFailure()) sweep(script, Use::kServer);
}

// Each change fails once, syncs as syncs do. The process goes on where it can, or ends; the disk
// is reopened, and the power fails at the end.
void sweep_failures(const Script& script, Use use) {
  Totals totals;
  const uint64_t seed = crash_options().first_seed;
  auto base = computer_with_store(seed);
  const uint64_t changes = count_changes(*base, seed, script, use, totals);
  for (uint64_t change = 1; change <= changes; change++) {
    if (crash_options().change != 0 && crash_options().change != change) continue;
    for (auto after : {Run::AfterError::kGoOn, Run::AfterError::kReopen}) {
      Run run(base->copy(seed), use, totals);
      run.plan_failure(change, after);
      ASSERT_EQ(play(run, script), "")
          << fmt::format("--seed {} --change {} (of {}), {}", seed, change, changes,
                         after == Run::AfterError::kGoOn ? "going on" : "reopening");
    }
  }
  std::printf("failures: %s\n", totals.text().c_str());
}

// Each change fails once, and the process dies soon behind it: while it does something about it.
void sweep_deaths_after_failures(const Script& script) {
  Totals totals;
  const uint64_t seed = crash_options().first_seed;
  auto base = computer_with_store(seed);
  const uint64_t changes = count_changes(*base, seed, script, Use::kServer, totals);
  for (uint64_t change = 1; change < changes; change++) {
    if (crash_options().change != 0 && crash_options().change != change) continue;
    for (uint64_t later = 1; later <= 3; later++) {
      Run run(base->copy(seed), Use::kServer, totals);
      run.plan_failure(change, Run::AfterError::kGoOn);
      run.plan({change + later, Crash::kProcessDies, Moment::kAfter});
      ASSERT_EQ(play(run, script), "") << fmt::format(
          "--seed {} --change {} (of {}), death {} changes later", seed, change, changes, later);
    }
  }
  std::printf("deaths after failures: %s\n", totals.text().c_str());
}

TEST(CrashSweep, WritesAndFlushes) {
  sweep_both({create("d"), write("d", 0, 8192, 1), write("d", 100'000, 70'000, 2), flush("d"),
              write("d", 4096, 8192, 3), write("d", 102'400, 4096, 4), flush("d"),
              write("d", 0, 4096, 5)});
}

// Records of several runs, so that sectors end within them.
TEST(CrashSweep, ManyFlushes) {
  Script script = {create("d")};
  for (uint64_t i = 0; i < 26; i++) {
    const uint64_t first = i % 16 * 4096;
    script.push_back(write("d", first, 4096, 1 + i % 3));
    if (i % 3 == 0) script.push_back(write("d", 65'536 + first, 4096, 4));
    if (i % 5 == 0) script.push_back(zero("d", 131'072 + first, 4096));
    script.push_back(flush("d"));
  }
  sweep(script, Use::kServer);
}

// A few blocks, which the journal carries, and so many that the overlay is synced, in turns.
TEST(CrashSweep, CarriedAndSyncedFlushes) {
  sweep_both({create("d"), write("d", 0, 8192, 1), flush("d"), write("d", 4096, 140'000, 2),
              flush("d"), write("d", 4096, 4096, 3), flush("d"), write("d", 4096, 4096, 4),
              trim("d", 0, 4096), flush("d"), write("d", 0, 12'288, 5), flush("d"), cut("d", "one"),
              write("d", 8192, 4096, 6), flush("d"), seal("d"), write("d", 100, 5000, 7),
              flush("d"), write("d", 0, 140'000, 8)});
}

TEST(CrashSweep, TornWritesZeroesAndTrims) {
  sweep_both({create("d"), write("d", 100, 9000, 1), zero("d", 65'536, 65'536), flush("d"),
              write("d", 5000, 200, 2), trim("d", 0, 30'000), write("d", 8192, 4096, 3), flush("d"),
              zero("d", 4000, 5000), trim("d", 190'000, 10'000)});
}

TEST(CrashSweep, Checkpoints) {
  sweep_both({create("d"), write("d", 0, 70'000, 1), checkpoint("d", "one"),
              write("d", 4096, 4096, 2), cut("d", "two"), write("d", 8192, 4096, 3), seal("d"),
              flush("d"), cut("d", "three"), cut("d", "four"), write("d", 0, 4096, 5)});
}

TEST(CrashSweep, Rollback) {
  sweep_both({create("d"), write("d", 0, 70'000, 1), checkpoint("d", "one"),
              write("d", 65'536, 8192, 2), flush("d"), rollback("d", "one"),
              write("d", 4096, 4096, 3), cut("d", "two"), write("d", 4096, 4096, 4),
              rollback("d", "two"), write("d", 0, 4096, 5), flush("d")});
}

TEST(CrashSweep, Resizes) {
  sweep_both({create("d"), write("d", 0, 200'000, 1), resize("d", 300'001),
              write("d", 250'000, 50'001, 2), flush("d"), resize("d", 70'000),
              write("d", 60'000, 10'000, 3), resize("d", 140'000), flush("d")});
}

TEST(CrashSweep, Forks) {
  sweep_both({create("d"), write("d", 0, 70'000, 1), fork("d", "", "f"), write("d", 0, 4096, 2),
              write("f", 4096, 4096, 3), checkpoint("f", "one"), fork("f", "one", "g"),
              write("g", 0, 4096, 4), flush("g"), on(Action::kRemoveDisk, "f"), flush("d")});
}

TEST(CrashSweep, Removals) {
  sweep_both({create("d"), write("d", 0, 8192, 1), cut("d", "one"),
              on(Action::kRemoveCheckpoint, "d", "one"), write("d", 0, 4096, 2),
              checkpoint("d", "two"), on(Action::kRemoveCheckpoint, "d", "two"),
              write("d", 4096, 4096, 3), on(Action::kRemoveDisk, "d"), create("d"),
              write("d", 8192, 4096, 4), flush("d")});
}

TEST(CrashSweep, GarbageCollection) {
  sweep_both({create("d"), write("d", 0, 140'000, 1), checkpoint("d", "one"),
              write("d", 0, 70'000, 2), checkpoint("d", "two"), fork("d", "two", "f"),
              write("f", 65'536, 4096, 3), checkpoint("f", "mine"),
              on(Action::kRemoveCheckpoint, "d", "one"), on(Action::kCollect, "d"),
              write("d", 0, 70'000, 1), rollback("d", "two"), on(Action::kRemoveDisk, "f"),
              on(Action::kCollect, "d"), checkpoint("d", "three"), on(Action::kCollect, "d"),
              on(Action::kReadCheckpoint, "d", "two")});
}

TEST(CrashSweep, Imports) {
  sweep({{Action::kImport, "d", 0, 150'000, 1},
         write("d", 4096, 4096, 2),
         flush("d"),
         {Action::kImport, "e", 0, 150'000, 1},
         on(Action::kRemoveDisk, "d"),
         rollback("e", "import")},
        Use::kCommand);
}

TEST(CrashSweep, Fallback) {
  sweep_both({create_over_fallback("d"), write("d", 0, 4096, 1), zero("d", 65'536, 8192),
              checkpoint("d", "one"), on(Action::kIngest, "d"), write("d", 140'000, 20'000, 2),
              resize("d", 100'000), fork("d", "one", "f"), write("f", 0, 4096, 3), flush("f")});
}

TEST(CrashSweep, AFailureAtEveryChange) {
  const Script script = {create("d"),
                         write("d", 0, 140'000, 1),
                         flush("d"),
                         cut("d", "one"),
                         seal("d"),
                         seal("d"),
                         write("d", 0, 70'000, 2),
                         flush("d"),
                         write("d", 8192, 4096, 3),
                         flush("d"),
                         cut("d", "two"),
                         write("d", 65'536, 65'536, 1),
                         seal("d"),
                         seal("d"),
                         fork("d", "one", "f"),
                         write("f", 0, 8192, 4),
                         flush("f"),
                         rollback("d", "one"),
                         write("d", 4096, 4096, 5),
                         flush("d"),
                         on(Action::kRemoveCheckpoint, "d", "two"),
                         on(Action::kCollect, "d"),
                         checkpoint("d", "three"),
                         on(Action::kReadCheckpoint, "d", "one")};
  sweep_failures(script, Use::kCommand);
  if (!testing::Test::HasFatalFailure()) sweep_failures(script, Use::kServer);
}

TEST(CrashSweep, AFailureAndThenADeath) {
  sweep_deaths_after_failures({create("d"), write("d", 0, 8192, 1), flush("d"),
                               write("d", 8192, 8192, 2), flush("d"), write("d", 0, 140'000, 3),
                               flush("d"), write("d", 4096, 4096, 4), flush("d"), cut("d", "one"),
                               write("d", 0, 4096, 5), flush("d"), seal("d")});
}

}  // namespace
}  // namespace casdisk
