// How much memory a process may still take.
#pragma once

#include <cstdint>

namespace casdisk {

// What the machine has available, or what is left of the control group's limit if that is less.
// Where neither is told: a GiB.
uint64_t available_memory_bytes();

}  // namespace casdisk
