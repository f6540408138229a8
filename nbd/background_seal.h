// BackgroundSealer: seals the disks of a server while it serves them.
//
// A thread of its own, which gives way to everybody, looks at the open disks every second. What a
// cut has frozen is sealed; so is, after a cut without a checkpoint, an overlay that has grown
// beyond a limit or that nobody has written to for a while. A disk stays open until it is sealed,
// though its last client leaves. After an error it is tried again, less and less often; each
// distinct error is logged once. Whoever needs a seal now calls Disk::seal() as kNow, which makes
// this one stop and go on later. Safe to call from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "nbd/exports.h"

namespace casdisk {

struct BackgroundSealOptions {
  uint64_t overlay_limit_bytes = uint64_t(4) << 30;  // 0: none
  std::chrono::milliseconds idle{30000};             // 0: never
  std::chrono::milliseconds look_every{1000};
};

class BackgroundSealer {
 public:
  using Clock = std::chrono::steady_clock;

  // Waits between tries after an error.
  static constexpr std::chrono::milliseconds kFirstRetry{1000};
  static constexpr std::chrono::milliseconds kMostRetry{60000};

  // Without a thread, because the system has no more, nothing is sealed but by who needs it: see
  // has_thread().
  BackgroundSealer(Exports& exports, const BackgroundSealOptions& options);
  // Stops at once, in the middle of a seal; what was not sealed is there for the next server.
  ~BackgroundSealer();
  BackgroundSealer(const BackgroundSealer&) = delete;
  BackgroundSealer& operator=(const BackgroundSealer&) = delete;

  bool has_thread() const { return thread_.joinable(); }

  // A disk that has just been cut while it is in use: seals it soon, and keeps it ready for the
  // next cut.
  void add(std::shared_ptr<Exports::Handle> handle);

  // The dirty bytes that the seal which runs has got through; nothing when it is not of this disk.
  std::optional<uint64_t> sealed_bytes(const std::string& disk) const;

 private:
  // What is remembered of a disk for as long as it is open. Used by the thread alone.
  struct Watch {
    std::shared_ptr<Exports::Handle> handle;  // while there is something to seal
    Clock::time_point last_written;
    bool written = true;  // since it was last cut for being idle
    bool prepares_cuts = false;
    Clock::time_point retry_at = Clock::time_point::min();
    std::chrono::milliseconds next_wait = kFirstRetry;
    std::string logged;  // the last error
  };

  void run();
  bool is_stopping() const;
  Clock::duration work();
  void take_added();
  void look_at_open_disks();
  void look(std::shared_ptr<Exports::Handle> handle, Watch& watch);
  bool wants_cut(Disk& disk, const Watch& watch) const;
  void seal(const std::string& name, Watch& watch);
  void after_error(const std::string& name, Watch& watch, const Error& error);

  // Fixed after construction.
  Exports& exports_;
  const BackgroundSealOptions options_;

  std::map<std::string, Watch> watches_;  // used by the thread alone

  mutable std::mutex mutex_;
  std::condition_variable woken_;
  bool stopping_ = false;                                // guarded by mutex_
  std::vector<std::shared_ptr<Exports::Handle>> added_;  // guarded by mutex_
  std::string sealing_;                                  // guarded by mutex_; empty: none
  uint64_t sealed_bytes_ = 0;                            // guarded by mutex_

  std::thread thread_;  // fixed after construction
};

}  // namespace casdisk
