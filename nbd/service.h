// Service: all that a server consists of, apart from its protocol: the one place that puts it
// together. Start it after fork; when it goes, everything has ended.
#pragma once

#include <memory>
#include <string>

#include "nbd/auth/client_exports.h"
#include "nbd/auth/guard.h"
#include "nbd/auth/psk_refresh.h"
#include "nbd/background_seal.h"
#include "nbd/client_sockets.h"
#include "nbd/control/control_server.h"
#include "nbd/control/disk_operations.h"
#include "nbd/exports.h"

namespace casdisk {

class Service {
 public:
  // Errors are those of Exports::open() and Access::open(). Without a control socket, on a full
  // file system say, clients are served all the same, and the log says so. `psk_file` is that of
  // psk_refresh.h.
  static Result<std::unique_ptr<Service>> start(ExportsOptions options,
                                                const BackgroundSealOptions& sealing,
                                                const AccessSettings& access,
                                                const std::string& psk_file = "");

  Exports& exports() { return *exports_; }
  ClientExports& client_exports() { return client_exports_; }
  PskRefresh& psk_refresh() { return psk_refresh_; }
  ClientSockets& sockets() { return sockets_; }
  DiskOperations& operations() { return operations_; }

 private:
  Service(std::unique_ptr<Guard> guard, std::unique_ptr<Exports> exports,
          const BackgroundSealOptions& sealing, const std::string& psk_file)
      : guard_(std::move(guard)),
        psk_refresh_(*guard_, psk_file),
        exports_(std::move(exports)),
        client_exports_(*exports_, *guard_),
        sealer_(*exports_, sealing),
        operations_(*exports_, sealer_, sockets_) {}

  ClientSockets sockets_;
  std::unique_ptr<Guard> guard_;
  PskRefresh psk_refresh_;
  std::unique_ptr<Exports> exports_;
  ClientExports client_exports_;
  BackgroundSealer sealer_;
  DiskOperations operations_;
  std::unique_ptr<ControlServer> control_;  // null: none
};

}  // namespace casdisk
