// Service: all that a server consists of, apart from its protocol: the one place that puts it
// together. Start it after fork; when it goes, everything has ended.
#pragma once

#include <memory>

#include "nbd/background_seal.h"
#include "nbd/client_sockets.h"
#include "nbd/control/control_server.h"
#include "nbd/control/disk_operations.h"
#include "nbd/exports.h"

namespace casdisk {

class Service {
 public:
  // Errors are those of Exports::open(). Without a control socket, on a full file system say,
  // clients are served all the same, and the log says so.
  static Result<std::unique_ptr<Service>> start(ExportsOptions options,
                                                const BackgroundSealOptions& sealing);

  Exports& exports() { return *exports_; }
  ClientSockets& sockets() { return sockets_; }
  DiskOperations& operations() { return operations_; }

 private:
  Service(std::unique_ptr<Exports> exports, const BackgroundSealOptions& sealing)
      : exports_(std::move(exports)),
        sealer_(*exports_, sealing),
        operations_(*exports_, sealer_, sockets_) {}

  ClientSockets sockets_;
  std::unique_ptr<Exports> exports_;
  BackgroundSealer sealer_;
  DiskOperations operations_;
  std::unique_ptr<ControlServer> control_;  // null: none
};

}  // namespace casdisk
