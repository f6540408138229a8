// ControlClient: asks the server that holds a disk, over its control socket.
//
// One thread; one request at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cas/os/file_lock.h"
#include "index/seal.h"
#include "nbd/control/control_protocol.h"
#include "nbd/control/control_stream.h"

namespace casdisk {

class ControlClient {
 public:
  using Milliseconds = std::chrono::milliseconds;

  // A server that is well greets at once.
  static constexpr Milliseconds kGreetingTime{5000};
  // For what takes a server no time worth mentioning.
  static constexpr Milliseconds kShortTime{5000};

  // `holder` is whoever has the lease, as found in it. kNotFound: it is gone. kBusy: it is no
  // server, has no time, or speaks another version.
  static Result<std::unique_ptr<ControlClient>> connect(const std::string& store_path,
                                                        const LockHolder& holder);

  // Sends the request and waits for its answer, for as long as the server lives or the time given.
  // Errors are the server's; kIo when it went away before it answered: what was asked for may have
  // happened or not.
  Result<ControlAnswer> call(ControlRequest request, const SealProgress& progress,
                             std::optional<Milliseconds> at_most = std::nullopt);

 private:
  ControlClient(int descriptor, int64_t pid) : stream_(descriptor), pid_(pid) {}
  Result<std::string> read_line(std::optional<Milliseconds> at_most);

  ControlStream stream_;
  const int64_t pid_;
  uint64_t last_id_ = 0;
};

}  // namespace casdisk
