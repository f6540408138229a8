// FlushGroup: concurrent flushes share the work of one.
//
// A flush that finds another under way waits for the next one, which covers everybody who waited.
// Fault::kPoisoned is final: it is returned to all, then and later, and the work is never tried
// again. After any other error those who waited try for themselves. Safe to call from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "cas/os/result.h"

namespace casdisk {

class FlushGroup {
 public:
  // Returns after a run of `work` that began after this call did.
  Result<void> run(const std::function<Result<void>()>& work);

  // Something else than a flush has failed for good: as if a run had.
  void fail(const Error& error);

  // The error that was final, once there is one. Until then it costs a load.
  std::optional<Error> failure() const;

 private:
  void set_failure(const Error& error);

  mutable std::mutex mutex_;
  std::condition_variable done_;
  // Guarded by mutex_.
  uint64_t started_ = 0;
  uint64_t succeeded_ = 0;
  bool running_ = false;
  std::optional<Error> failure_;

  std::atomic<bool> has_failed_ = false;  // set after failure_
};

}  // namespace casdisk
