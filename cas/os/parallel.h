// parallel_for: a loop over [0, count) on a few threads of its own.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <thread>

#include "cas/os/result.h"

namespace casdisk {

// Calls body(i) for every i < count, each once, in no order. The first error stops the rest (calls
// under way finish) and is returned; all threads are joined by then. With threads <= 1 it runs on
// the caller, in order. Threads that cannot be made are done without.
Result<void> parallel_for(size_t count, unsigned threads,
                          const std::function<Result<void>(size_t)>& body);

// Cores that this process may run on, at least 1.
unsigned core_count();

// A thread that runs `body`; nothing when the system has no more.
std::optional<std::thread> start_thread(std::function<void()> body);

}  // namespace casdisk
