// WriteBehind: keeps small what a flush finds unwritten: about what the device takes in 10 ms.
//
// Each file that guests write to has a Backlog, which counts the bytes written and not yet written
// out. Past half the bound the store's one background thread begins to write the file out
// (File::write_out) while the guest writes on; a writer that would go past the bound waits. The
// bound follows the rate that write-outs reach. Why it is as it is:
// docs/decisions/0007-write-behind.md.
//
// Safe to call from any thread. The background thread is started by the first file that needs it,
// so a WriteBehind may be made before a fork.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "cas/os/file.h"

namespace casdisk {

class WriteBehind {
 public:
  class Backlog;

  WriteBehind() = default;
  // Ends the thread. REQUIRES: no Backlog is left.
  ~WriteBehind();
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  // The most that a file may have unwritten before its writers wait.
  uint64_t bound_bytes() const { return bound_bytes_.load(std::memory_order_relaxed); }

 private:
  // What 10 ms of a device are before it was measured, and within what limits afterwards. The lower
  // one is 10 ms of 400 MB/s: smaller write-outs would cost their submission more than they save.
  // The upper one is 10 ms of 6.4 GB/s, more than the page cache takes from one guest.
  static constexpr uint64_t kFirstBoundBytes = uint64_t(8) << 20;
  static constexpr uint64_t kMinBoundBytes = uint64_t(4) << 20;
  static constexpr uint64_t kMaxBoundBytes = uint64_t(64) << 20;

  void want(Backlog& backlog);
  void forget(Backlog& backlog);
  void work();
  void learn(uint64_t bytes, std::chrono::steady_clock::duration time);

  std::atomic<uint64_t> bound_bytes_ = kFirstBoundBytes;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::condition_variable wanted_;
  std::condition_variable done_;  // a write-out ended, or somebody is let through
  std::deque<Backlog*> queue_;
  Backlog* current_ = nullptr;
  bool stopping_ = false;
  std::thread thread_;
};

// The unwritten bytes of one file.
class WriteBehind::Backlog {
 public:
  // Both outlive it. `failed` is called from the background thread, once, when a write-out has
  // failed, which is as final as a failed sync.
  using Failed = std::function<void(Error)>;
  Backlog(WriteBehind& write_behind, File& file, Failed failed)
      : write_behind_(write_behind), file_(file), failed_(std::move(failed)) {}
  // Waits for a write-out of the file that is under way.
  ~Backlog() { write_behind_.forget(*this); }
  Backlog(const Backlog&) = delete;
  Backlog& operator=(const Backlog&) = delete;

  // To be called before a write: waits, at most kMaxWait, while the bound is exceeded.
  void wait_for_room();
  // Bytes were just written to the file.
  void wrote(uint64_t bytes);

  // A flush did without a sync of the file: the kernel may write it out meanwhile, so the time that
  // the next write-out takes says nothing of the device.
  void carried() { is_sample_ = false; }

  // From now on nobody waits, until as many calls say so: somebody waits for the writers.
  void let_through(bool on);

  // How far the file has been written. What a sync that begins afterwards covers:
  //   uint64_t mark = backlog.mark(); TRY(file.sync()); backlog.settled(mark);
  uint64_t mark() const { return written_bytes_.load(); }
  void settled(uint64_t mark);

  uint64_t unwritten_bytes() const {
    const uint64_t settled = settled_bytes_.load();  // first: it is never ahead of the other
    return written_bytes_.load() - settled;
  }

 private:
  friend class WriteBehind;
  // A device that takes this long is not helped by waiting any longer.
  static constexpr std::chrono::seconds kMaxWait{1};

  bool has_room() const { return unwritten_bytes() <= write_behind_.bound_bytes(); }
  bool is_due() const { return unwritten_bytes() > write_behind_.bound_bytes() / 2; }
  void write_out();

  // Fixed after construction.
  WriteBehind& write_behind_;
  File& file_;
  const Failed failed_;

  std::atomic<uint64_t> settled_bytes_ = 0;  // never more than written_bytes_
  std::atomic<uint64_t> written_bytes_ = 0;
  std::atomic<bool> is_wanted_ = false;  // in the queue, or about to be
  std::atomic<bool> has_failed_ = false;
  std::atomic<bool> is_sample_ = true;
  // Guarded by the WriteBehind's mutex.
  unsigned let_through_ = 0;
};

}  // namespace casdisk
