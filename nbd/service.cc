#include "nbd/service.h"

#include <optional>

#include "nbd/control/served_disk.h"

namespace casdisk {
namespace {

constexpr const char* kNoControl = "commands cannot reach this server: ";

}  // namespace

// The socket listens before the first lease names it; who connects meanwhile waits in its queue.
Result<std::unique_ptr<Service>> Service::start(ExportsOptions options,
                                                const BackgroundSealOptions& sealing) {
  const std::string path = options.store_path;
  std::optional<ControlSocket> socket;
  auto listening = ControlSocket::listen(path);
  if (listening.ok()) {
    socket.emplace(std::move(listening).value());
    options.store.lease_note = socket->name();
  } else {
    options.store.log(kNoControl + describe(listening.error()));
  }
  options.store.ask_to_seal = [path](const std::string& disk, const LockHolder& holder,
                                     SealWhat what) {
    return ask_server_to_seal(path, disk, holder, what);
  };
  TRY_ASSIGN(auto exports, Exports::open(options));
  std::unique_ptr<Service> service(new Service(std::move(exports), sealing));
  if (!socket) return service;
  auto control = ControlServer::start(std::move(*socket), service->operations_);
  if (control.ok()) {
    service->control_ = std::move(control).value();
  } else {
    options.store.log(kNoControl + describe(control.error()));
  }
  return service;
}

}  // namespace casdisk
