// Served disks, as commands and other servers see them: what to do with a disk is done here when
// its lease is free, and by the server that has it otherwise.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "index/group_checkpoint.h"
#include "index/store.h"
#include "nbd/control/control_client.h"

namespace casdisk {

using AtServer = std::function<Result<void>(std::unique_ptr<ControlClient>)>;

// Calls `here`, which takes the disk's lease. When another process has it, calls `there` with a
// connection to that process. A holder that goes meanwhile is no obstacle: it is tried again, a
// bounded number of times. kBusy, naming the pid: the holder is no server.
Result<void> here_or_at_server(Store& store, const std::string& disk,
                               const std::function<Result<void>()>& here, const AtServer& there);

// The server that has the disk; null when nobody has. kBusy: somebody else has.
Result<std::unique_ptr<ControlClient>> server_of(Store& store, const std::string& disk);

// For StoreOptions::ask_to_seal of a store at `path`. kNotFound: the holder is gone.
Result<void> ask_server_to_seal(const std::string& path, const std::string& disk,
                                const LockHolder& holder, SealWhat what);

// A disk of another process that takes part in a group checkpoint.
class ServedCutMember : public CutMember {
 public:
  ServedCutMember(std::string disk, std::unique_ptr<ControlClient> client)
      : disk_(std::move(disk)), client_(std::move(client)) {}

  const std::string& disk() const override { return disk_; }
  Result<void> prepare() override { return step(ControlOperation::kPrepare); }
  Result<void> hold(std::chrono::milliseconds at_most) override;
  Result<uint64_t> cut() override;
  Result<void> flush() override { return step(ControlOperation::kFlushCut); }
  Result<void> finish() override;

  ControlClient& client() { return *client_; }

 private:
  Result<void> step(ControlOperation operation);

  const std::string disk_;
  const std::unique_ptr<ControlClient> client_;
  uint64_t hold_ = 0;                   // not over, as far as we know; 0: none
  std::optional<uint64_t> generation_;  // cut, and its outcome not told; 0 before the first write
};

}  // namespace casdisk
