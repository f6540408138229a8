// WriteSession: a unit of work that puts objects and then publishes something that names them.
//
// Between the two nothing but the session keeps garbage collection from taking them for garbage. It
// is a shared lock on the file `sessions/<generation>`, which dies with the process. A collection
// that has condemned packs waits until the sessions of before have ended; what they put or found is
// named by then, or never will be. Sessions that begin after it find nothing in condemned packs.
//
// So a session spans everything from the first put (or the first look at what may be there) to the
// transaction that publishes. A long one delays a collection and is never wrong. They may nest.
// Not safe for concurrent use, but whatever threads may put under it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cas/location_table.h"
#include "cas/machine.h"
#include "cas/os/file.h"
#include "cas/os/file_lock.h"

namespace casdisk {

// The lock of a session, and the generation that the store was in when it was taken.
struct SessionLock {
  FileLock lock;
  uint64_t generation = 0;
};

// The sessions of all processes, as locks. Safe to call from any thread.
class SessionLocks {
 public:
  // All outlive it.
  SessionLocks(Machine& machine, Directory& files, LocationTable& locations)
      : machine_(machine), files_(files), locations_(locations) {}

  // In the generation that is the current one when it returns, or was a moment ago: then whoever
  // ended it waits for this.
  Result<SessionLock> take();

  // Returns when no session of a generation before `current` is left. `wait` is called between
  // looks, with the processes that are waited for (as far as they are known), and may end it with
  // an error.
  using Wait = std::function<Result<void>(const std::vector<int64_t>& pids)>;
  Result<void> wait_for_older(const LocationTable::Generations& generations, const Wait& wait);

 private:
  std::string path_of(uint64_t generation) const;

  // Fixed after construction.
  Machine& machine_;
  Directory& files_;
  LocationTable& locations_;
};

class WriteSession {
 public:
  // `ended` is called once, before the lock is let go.
  WriteSession(SessionLock lock, std::function<void()> ended)
      : lock_(std::move(lock)), ended_(std::move(ended)) {}
  WriteSession(WriteSession&& other) noexcept
      : lock_(std::move(other.lock_)), ended_(std::exchange(other.ended_, nullptr)) {}
  WriteSession& operator=(WriteSession&&) = delete;
  ~WriteSession() {
    if (ended_) ended_();
  }

 private:
  SessionLock lock_;
  std::function<void()> ended_;
};

}  // namespace casdisk
