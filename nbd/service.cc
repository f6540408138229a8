#include "nbd/service.h"

#include <optional>

#include "nbd/control/served_disk.h"

namespace casdisk {
namespace {

constexpr const char* kNoControl = "commands cannot reach this server: ";

// Guests that do not find it are served all the same.
void publish(ControlSocket& socket, const ExportsOptions& options) {
  auto published = socket.publish(options.only ? options.only->text() : "_all");
  if (!published.ok()) options.store.log(describe(published.error()));
}

}  // namespace

// The socket listens before the first lease names it; who connects meanwhile waits in its queue.
Result<std::unique_ptr<Service>> Service::start(ExportsOptions options,
                                                const BackgroundSealOptions& sealing,
                                                const AccessSettings& access,
                                                const std::string& psk_file) {
  const std::string path = options.store_path;
  auto guard = std::make_unique<Guard>(access, options.store.log);
  TRY_ASSIGN(const bool guarded, guard->is_guarded());
  std::optional<ControlSocket> socket;
  auto listening = ControlSocket::listen(
      path, guarded ? ControlSocketFor::kEverybody : ControlSocketFor::kOwner);
  if (listening.ok()) {
    socket.emplace(std::move(listening).value());
    if (guarded) publish(*socket, options);
    options.store.lease_note = socket->name();
  } else {
    options.store.log(kNoControl + describe(listening.error()));
  }
  options.store.ask_to_seal = [path](const std::string& disk, const LockHolder& holder,
                                     SealWhat what) {
    return ask_server_to_seal(path, disk, holder, what);
  };
  TRY_ASSIGN(auto exports, Exports::open(options));
  std::unique_ptr<Service> service(
      new Service(std::move(guard), std::move(exports), sealing, psk_file));
  if (!socket) return service;
  auto control = ControlServer::start(std::move(*socket), service->operations_, *service->guard_);
  if (control.ok()) {
    service->control_ = std::move(control).value();
  } else {
    options.store.log(kNoControl + describe(control.error()));
  }
  return service;
}

}  // namespace casdisk
