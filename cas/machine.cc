#include "cas/machine.h"

#include <sys/random.h>

#include <chrono>
#include <thread>

namespace casdisk {

Result<std::unique_ptr<LmdbEnvironment>> SystemMachine::open_environment(
    const std::string& directory, const LmdbOptions& options) {
  return LmdbEnvironment::open(directory, options);
}

Result<FileLock> SystemMachine::lock(const std::string& path, const std::string& what,
                                     const std::string& note) {
  return FileLock::acquire(path, what, note);
}

Result<std::optional<LockHolder>> SystemMachine::lock_holder(const std::string& path) {
  return FileLock::holder(path);
}

Result<FileLock> SystemMachine::share_lock(const std::string& path, const std::string& what) {
  return FileLock::share(path, what);
}

Result<std::vector<int64_t>> SystemMachine::lock_sharers(const std::string& path) {
  return FileLock::sharers(path);
}

int64_t SystemMachine::now_ns() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

uint64_t SystemMachine::random() {
  uint64_t value = 0;
  CHECK(getrandom(&value, sizeof(value), 0) == sizeof(value));
  return value;
}

void SystemMachine::sleep(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

}  // namespace casdisk
