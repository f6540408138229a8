// casdisk_micro: times the workloads (Google Benchmark's options), or, under callgrind, counts
// their instructions: scripts/instructions runs it so and reads the dumps that are named after
// them.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <valgrind/callgrind.h>

#include "bench/micro/workload.h"

namespace casdisk {
namespace {

constexpr int kCountedRuns = 200;
constexpr int kRunsBefore = 20;  // what is done once is not of the work

std::vector<Workload> all_workloads() {
  std::vector<Workload> all = chunk_workloads();
  for (Workload& workload : disk_workloads()) all.push_back(std::move(workload));
  return all;
}

void count_instructions(const std::vector<Workload>& workloads) {
  for (const Workload& workload : workloads) {
    if (!workload.is_counted) continue;
    const auto work = workload.prepare();
    for (int i = 0; i < kRunsBefore; i++) work();
    CALLGRIND_ZERO_STATS;
    CALLGRIND_TOGGLE_COLLECT;
    for (int i = 0; i < kCountedRuns; i++) work();
    CALLGRIND_TOGGLE_COLLECT;
    const std::string name = fmt::format("{} {}", workload.name, kCountedRuns);
    CALLGRIND_DUMP_STATS_AT(name.c_str());
  }
}

void time_them(const std::vector<Workload>& workloads) {
  for (const Workload& workload : workloads) {
    benchmark::RegisterBenchmark(workload.name.c_str(), [&workload](benchmark::State& state) {
      const auto work = workload.prepare();
      for ([[maybe_unused]] auto step : state) work();
      if (workload.bytes > 0) state.SetBytesProcessed(state.iterations() * int64_t(workload.bytes));
    });
  }
  benchmark::RunSpecifiedBenchmarks();
}

}  // namespace
}  // namespace casdisk

int main(int argc, char** argv) {
  testing::InitGoogleTest();  // the tests' support reports to it
  const auto workloads = casdisk::all_workloads();
  if (RUNNING_ON_VALGRIND) {
    casdisk::count_instructions(workloads);
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  casdisk::time_them(workloads);
  return 0;
}
