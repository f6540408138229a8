#include "cas/os/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace casdisk {

Result<void> parallel_for(size_t count, unsigned threads,
                          const std::function<Result<void>(size_t)>& body) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Result<void> first_error;
  const auto work = [&] {
    for (size_t i; (i = next.fetch_add(1)) < count;) {
      auto done = body(i);
      if (done.ok()) continue;
      next = count;
      std::lock_guard lock(mutex);
      if (first_error.ok()) first_error = std::move(done);
    }
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < std::min<size_t>(threads, count); i++) {
    auto helper = start_thread(work);
    if (!helper) break;  // those that we have do all
    helpers.push_back(std::move(*helper));
  }
  work();
  for (std::thread& helper : helpers) helper.join();
  return first_error;
}

std::optional<std::thread> start_thread(std::function<void()> body) {
  try {
    return std::thread(std::move(body));
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

unsigned core_count() {
  cpu_set_t cores;
  if (::sched_getaffinity(0, sizeof(cores), &cores) != 0) {
    return std::max(1u, std::thread::hardware_concurrency());
  }
  return std::max(1u, unsigned(CPU_COUNT(&cores)));
}

}  // namespace casdisk
