// What `casdisk doctor` says of the machine: kernel, rings, limits, programs.
//
// The facts are gathered by one function and judged by another, which is pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nbd/cli/finding.h"

namespace casdisk {

struct MachineFacts {
  std::string kernel;         // "6.1.0-25-amd64"
  std::string ring_failure;   // why there are no rings; empty: there are
  int io_uring_disabled = 0;  // the sysctl of that name; 0 where there is none
  uint64_t max_open_files = 0;
  uint64_t max_locked_bytes = 0;
  std::string nbdkit;                // the first line of `nbdkit --version`; empty: there is none
  std::string plugin;                // its path, or the name that nbdkit knows it by
  std::string plugin_failure;        // what nbdkit said; empty: it loads
  std::vector<std::string> clients;  // programs that attach disks, those that were found
};

// Runs nbdkit, twice; everything else is looked up.
MachineFacts machine_facts();

Findings judge(const MachineFacts& facts);

}  // namespace casdisk
