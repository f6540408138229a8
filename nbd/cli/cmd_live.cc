// casdisk seal, flush, detach
#include <fmt/format.h>

#include "cas/os/parallel.h"
#include "index/disk.h"
#include "nbd/cli/commands.h"
#include "nbd/control/served_disk.h"
#include "nbd/size_text.h"

namespace casdisk {
Syntax seal_syntax() {
  return {
      .positionals = {{"DISK"}},
      .options = {{"wait", "", "of a disk that is served: return when it is done"}},
      .about =
          "Turns what was written to DISK into chunks, without a checkpoint. A disk that is\n"
          "served goes on meanwhile; its server does this by itself when the disk has been idle\n"
          "or has much to seal.",
      .examples = "  casdisk seal web --wait\n"};
}

Result<int> run_seal(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(std::string name, disk_name(arguments.positional(0)));
  TRY_ASSIGN(Store * store, session.store());
  bool sealed = true;
  {
    ProgressBar bar("seal " + name, std::nullopt, session.progress());
    const SealProgress progress = [&](uint64_t bytes) { bar.set(bytes); };
    TRY(here_or_at_server(
        *store, name,
        [&]() -> Result<void> {
          TRY_ASSIGN(auto disk, Disk::open(*store, name, {}));
          return disk->seal_all(core_count(), progress);
        },
        [&](std::unique_ptr<ControlClient> server) -> Result<void> {
          ControlRequest request = request_for(name, ControlOperation::kSeal);
          request.wait = arguments.has("wait");
          TRY_ASSIGN(auto answer, server->call(request, progress));
          sealed = request.wait || answer.sealed;
          return {};
        }));
  }
  session.console().answer(
      sealed ? fmt::format("{} is sealed\n", name) : fmt::format("{} is being sealed\n", name),
      {{"disk", name}, {"sealed", sealed}});
  return 0;
}

Syntax flush_syntax() {
  return {
      .positionals = {{"DISK"}},
      .about =
          "What was written to DISK before survives a power cut afterwards: what a guest's own\n"
          "flush does.",
      .examples = "  casdisk flush web\n"};
}

Result<int> run_flush(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(std::string name, disk_name(arguments.positional(0)));
  TRY_ASSIGN(Store * store, session.store());
  TRY(here_or_at_server(
      *store, name,
      [&]() -> Result<void> {
        TRY_ASSIGN(auto disk, Disk::open(*store, name, {}));
        return disk->flush();
      },
      [&](std::unique_ptr<ControlClient> server) -> Result<void> {
        TRY(server->call(request_for(name, ControlOperation::kFlush), [](uint64_t) {}));
        return {};
      }));
  session.console().answer(fmt::format("{} is flushed\n", name), {{"disk", name}});
  return 0;
}

Syntax detach_syntax() {
  return {.positionals = {{"DISK"}},
          .about =
              "Flushes DISK and ends the connections of its clients, once the requests that the\n"
              "server has of them are answered. Clients that reconnect, such as qemu with\n"
              "reconnect-delay, go on, with the disk's present size.",
          .exit_codes = "  4 when clients stay: their connections cannot be told from others'\n",
          .examples = "  casdisk detach web\n  casdisk resize web 20G && casdisk detach web\n"};
}

Result<int> run_detach(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(std::string name, disk_name(arguments.positional(0)));
  TRY_ASSIGN(Store * store, session.store());
  TRY_ASSIGN(auto server, server_of(*store, name));
  uint64_t client_count = 0, detached_count = 0;
  if (server) {
    TRY_ASSIGN(auto answer,
               server->call(request_for(name, ControlOperation::kDetach), [](uint64_t) {}));
    client_count = answer.client_count.value_or(0);
    detached_count = answer.detached_count.value_or(0);
  }
  if (detached_count < client_count) {
    return Error{Fault::kBusy, 0,
                 fmt::format("{} of the {} clients of {} stay: the server cannot tell their "
                             "connections from those of other disks; end them at their side",
                             client_count - detached_count, client_count, name)};
  }
  session.console().answer(
      server ? fmt::format("{}: {} detached\n", name, plural(detached_count, "client"))
             : fmt::format("nobody serves {}\n", name),
      {{"disk", name}, {"client_count", client_count}, {"detached_count", detached_count}});
  return 0;
}

}  // namespace casdisk
