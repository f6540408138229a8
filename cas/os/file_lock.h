// FileLock: a lock on a file, exclusive or shared, that dies with the process, however it dies.
//
// flock(2) on a CLOEXEC descriptor of our own: not inherited across exec, and two holders within
// one process exclude each other too. The holder's pid is written into the file for messages only.
// Take it after fork. Not safe for concurrent use; the lock itself is what is shared.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cas/os/result.h"

namespace casdisk {

struct LockHolder {
  int64_t pid = 0;
  std::string note;  // as given to acquire()
};

class FileLock {
 public:
  // Creates the file (mode 0600) if need be. Fault::kBusy when somebody holds it; the context is
  // "`what` is busy: held by pid N". `note` is one line.
  static Result<FileLock> acquire(const std::string& path, const std::string& what,
                                  const std::string& note = "");

  // Who holds the lock on the file `path`, if somebody does, by looking alone: taking the lock for
  // a try would make others fail. Holders in containers that /proc/locks does not show are missed.
  static Result<std::optional<LockHolder>> holder(const std::string& path);

  // A lock that any number hold together, and nobody while somebody has acquired the file: kBusy.
  // Leaves what is in the file as it is.
  static Result<FileLock> share(const std::string& path, const std::string& what);

  // The processes that share the lock on the file `path`, as far as /proc/locks shows them. For
  // messages.
  static Result<std::vector<int64_t>> sharers(const std::string& path);
  // Another kind of lock, let go of with `held` (machine.h).
  explicit FileLock(std::shared_ptr<void> held) : held_(std::move(held)) {}

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  static Result<FileLock> lock(const std::string& path, const std::string& what, int operation);
  int descriptor_ = -1;
  std::shared_ptr<void> held_;
};

}  // namespace casdisk
