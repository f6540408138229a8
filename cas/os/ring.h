// Ring: batches of reads and writes through an io_uring, one ring per thread. The one door to
// liburing is ring.cc.
//
// A plain ring without flags: a batch is one system call that submits it and waits for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "cas/os/result.h"

namespace casdisk {

// Entries of a ring: a batch of 64 pieces of 64 KiB is 4 MiB, more than a device wants at once.
inline constexpr unsigned kRingEntries = 64;

// One piece of a batch. Buffers stay with the caller.
struct RingTransfer {
  enum class Direction { kRead, kWrite };
  Direction direction = Direction::kRead;
  int descriptor = -1;
  uint64_t offset = 0;
  std::byte* bytes = nullptr;  // a write only reads them
  size_t length = 0;

  // Outcome.
  size_t done = 0;
  int error = 0;             // errno
  bool end_of_file = false;  // a read that ended before its length
  bool failed() const { return error != 0 || end_of_file; }
  bool at_rest() const { return done == length || failed(); }
};

class Ring {
 public:
  // This thread's ring, made at the first call in this process; nullptr where there cannot be one
  // (any more), when plain calls have to do.
  static Ring* of_this_thread();

  // Whether a ring can be made and has what we need; the error says why not.
  static Result<void> probe();

  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Runs the transfers until all are at rest, or one has failed and none is in flight any more:
  // after the return no buffer is touched. Short transfers are continued. False when the ring has
  // broken: what is not at rest then was not started or ended short, and the ring is of no more
  // use.
  bool run(std::span<RingTransfer> transfers);

 private:
  struct State;
  explicit Ring(std::unique_ptr<State> state);
  static Result<std::unique_ptr<Ring>> make();

  bool run_round(std::span<RingTransfer*> round);

  // Fixed after construction.
  std::unique_ptr<State> state_;
};

}  // namespace casdisk
