// Machine: what a store stands on beside its files: KV environments, locks, the clock, chance.
//
// Implementations: SystemMachine, and in the tests one that can be switched off at any operation.
// Safe to call from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cas/kv/lmdb.h"
#include "cas/os/file_lock.h"

namespace casdisk {

// LmdbOptions::remedy of a store's tables.
inline constexpr const char* kRebuildTable =
    "`casdisk repair --rebuild` makes it anew from the packs";

class Machine {
 public:
  virtual ~Machine() = default;

  // As LmdbEnvironment::open.
  virtual Result<std::unique_ptr<LmdbEnvironment>> open_environment(const std::string& directory,
                                                                    const LmdbOptions& options) = 0;

  // As FileLock::acquire and FileLock::holder.
  virtual Result<FileLock> lock(const std::string& path, const std::string& what,
                                const std::string& note) = 0;
  virtual Result<std::optional<LockHolder>> lock_holder(const std::string& path) = 0;

  // As FileLock::share and FileLock::sharers.
  virtual Result<FileLock> share_lock(const std::string& path, const std::string& what) = 0;
  virtual Result<std::vector<int64_t>> lock_sharers(const std::string& path) = 0;

  virtual int64_t now_ns() = 0;  // since 1970, UTC
  virtual uint64_t random() = 0;
  // Between two looks at what another process is to do.
  virtual void sleep(std::chrono::milliseconds time) = 0;
};

// The machine that this process runs on. Stateless.
class SystemMachine : public Machine {
 public:
  Result<std::unique_ptr<LmdbEnvironment>> open_environment(const std::string& directory,
                                                            const LmdbOptions& options) override;
  Result<FileLock> lock(const std::string& path, const std::string& what,
                        const std::string& note) override;
  Result<std::optional<LockHolder>> lock_holder(const std::string& path) override;
  Result<FileLock> share_lock(const std::string& path, const std::string& what) override;
  Result<std::vector<int64_t>> lock_sharers(const std::string& path) override;
  int64_t now_ns() override;
  uint64_t random() override;
  void sleep(std::chrono::milliseconds time) override;
};

}  // namespace casdisk
