// Workloads: the small pieces of work that the hot paths are made of, each as a closure that does
// it once. main.cc times them with Google Benchmark, and lets callgrind count their instructions.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace casdisk {

struct Workload {
  std::string name;  // [a-z0-9_]
  // Sets up what the work needs; the closure that it gives owns that, and runs on one thread.
  std::function<std::function<void()>()> prepare;
  // Of one run: for bytes per second. 0: it has none to speak of.
  uint64_t bytes = 0;
  // The work ends in the kernel's or a device's hands: its instructions say nothing.
  bool is_counted = true;
};

std::vector<Workload> chunk_workloads();  // hash, codec, cache, location table, packs
std::vector<Workload> disk_workloads();   // pages, dirty map, overlay, journal, whole requests

}  // namespace casdisk
