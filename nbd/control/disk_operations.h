// DiskOperations: what commands can have done to the disks of a server while it serves them.
//
// Each operation is as durable and as atomic as the function of index/ that does it; what was done
// before somebody stopped waiting stays done. Safe to call from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "index/group_checkpoint.h"
#include "index/seal.h"
#include "nbd/background_seal.h"
#include "nbd/client_sockets.h"
#include "nbd/control/control_protocol.h"
#include "nbd/exports.h"

namespace casdisk {

// Who asks.
struct ControlCaller {
  // It has gone, or the server is about to: ends every wait. Any thread.
  std::function<bool()> stop = [] { return false; };
  SealProgress progress = [](uint64_t) {};  // any thread
  // The disks that it has prepared for a group checkpoint: open until it goes.
  std::map<std::string, std::shared_ptr<Exports::Handle>> prepared = {};
  // Keeps the attachments of its next checkpoint until they are recorded.
  std::optional<WriteSession> session = {};
};

class DiskOperations {
 public:
  // How long `detach` waits for clients to be gone.
  static constexpr std::chrono::milliseconds kDetachTime{3000};

  DiskOperations(Exports& exports, BackgroundSealer& sealer, ClientSockets& sockets)
      : exports_(exports), sealer_(sealer), sockets_(sockets) {}

  Result<ControlAnswer> run(const ControlRequest& request, ControlCaller& caller);

 private:
  using User = std::shared_ptr<Exports::Handle>;

  Result<User> user_of(const std::string& disk, ControlCaller& caller);
  Result<ControlAnswer> status(const User& user);
  Result<ControlAnswer> stats(const User& user);
  Result<ControlAnswer> begin_session(ControlCaller& caller);
  Result<ControlAnswer> checkpoint(const User& user, const ControlRequest& request,
                                   ControlCaller& caller);
  Result<ControlAnswer> fork(const User& user, const ControlRequest& request,
                             const ControlCaller& caller);
  Result<ControlAnswer> seal(const User& user, const ControlRequest& request,
                             const ControlCaller& caller);
  Result<ControlAnswer> rollback(const User& user, const ControlRequest& request,
                                 const ControlCaller& caller);
  Result<ControlAnswer> resize(const User& user, const ControlRequest& request,
                               const ControlCaller& caller);
  Result<ControlAnswer> detach(const User& user, const ControlCaller& caller);
  Result<ControlAnswer> group_step(const User& user, const ControlRequest& request,
                                   ControlCaller& caller);

  // Fixed after construction.
  Exports& exports_;
  BackgroundSealer& sealer_;
  ClientSockets& sockets_;
};

}  // namespace casdisk
