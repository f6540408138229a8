// casdisk rollback, resize
#include <fmt/format.h>

#include "cas/os/parallel.h"
#include "index/checkpoint_view.h"
#include "index/lineage.h"
#include "nbd/cli/catalog.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"
#include "nbd/control/served_disk.h"
#include "nbd/size_text.h"

namespace casdisk {
namespace {

// Clients that are attached have read the size when they came.
std::string seen_later(const std::string& disk, uint64_t client_count) {
  if (client_count == 0) return "";
  return fmt::format("; {} will see that after reconnecting (`casdisk detach {}` makes them)",
                     plural(client_count, "client"), disk);
}

}  // namespace

Syntax rollback_syntax() {
  return {
      .positionals = {{"DISK"}, {"NAME", false}},
      .options = {{"force", "", "although clients are attached"}},
      .about =
          "DISK becomes what it was at DISK@NAME, its size too. What was written since and is in\n"
          "no checkpoint is dropped; checkpoints stay. Clients that are attached would find other\n"
          "bytes than they know: without --force that is refused. DISK NAME may be written\n"
          "DISK@NAME.",
      .exit_codes = "  4 when clients are attached and --force is not given\n",
      .examples = "  casdisk rollback web before-upgrade\n"};
}

Result<int> run_rollback(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(VolumeName name, named_checkpoint(arguments));
  if (!name.is_checkpoint()) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("rollback: name the checkpoint too; `casdisk log {}` lists those of "
                             "the disk",
                             name.disk)};
  }
  TRY_ASSIGN(Store * store, session.store());
  uint64_t client_count = 0;
  {
    ProgressBar bar("roll back " + name.disk, std::nullopt, session.progress());
    TRY(here_or_at_server(
        *store, name.disk, [&] { return rollback_disk(*store, name); },
        [&](std::unique_ptr<ControlClient> server) -> Result<void> {
          ControlRequest request = request_for(name.disk, ControlOperation::kRollback);
          request.checkpoint = name.checkpoint;
          request.force = arguments.has("force");
          TRY_ASSIGN(auto answer, server->call(request, [&](uint64_t bytes) { bar.set(bytes); }));
          client_count = answer.client_count.value_or(0);
          return {};
        }));
  }
  TRY_ASSIGN(FoundCheckpoint found, find_checkpoint(*store, name));
  session.console().answer(
      fmt::format("{} is back at {}{}\n", name.disk, name.text(),
                  client_count > 0 ? fmt::format("; clients attached: {}", client_count) : ""),
      {{"disk", name.disk},
       {"checkpoint", checkpoint_json(found.id, found.record)},
       {"client_count", client_count}});
  return 0;
}

Syntax resize_syntax() {
  return {
      .positionals = {{"DISK"}, {"SIZE"}},
      .options = {{"shrink", "", "allow SIZE to be less, which destroys what lies beyond"}},
      .about =
          "Changes the size of a disk. New space reads as zeros. Clients that are attached see\n"
          "the new size when they reconnect; see `casdisk detach`.",
      .examples = "  casdisk resize web 20G\n  casdisk resize web 5G --shrink\n"};
}

Result<int> run_resize(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(std::string name, disk_name(arguments.positional(0)));
  TRY_ASSIGN(uint64_t size_bytes, parse_size(arguments.positional(1), "SIZE"));
  TRY_ASSIGN(Store * store, session.store());
  TRY_ASSIGN(HeadRecord head, store->catalog().head(name));
  const uint64_t before_bytes = head.size_bytes;
  if (size_bytes < before_bytes && !arguments.has("shrink")) {
    return Error{
        Fault::kInvalid, 0,
        fmt::format("{} has {} bytes; to cut off what lies beyond {} for good, say --shrink", name,
                    before_bytes, size_bytes)};
  }
  uint64_t client_count = 0;
  {
    ProgressBar bar("seal " + name, std::nullopt, session.progress());
    const SealProgress progress = [&](uint64_t sealed_bytes) { bar.set(sealed_bytes); };
    TRY(here_or_at_server(
        *store, name, [&] { return resize_disk(*store, name, size_bytes, core_count(), progress); },
        [&](std::unique_ptr<ControlClient> server) -> Result<void> {
          ControlRequest request = request_for(name, ControlOperation::kResize);
          request.size_bytes = size_bytes;
          TRY_ASSIGN(auto answer, server->call(request, progress));
          client_count = answer.client_count.value_or(0);
          return {};
        }));
  }
  session.console().answer(
      fmt::format("{} has now {}, before {}{}\n", name, human_bytes(size_bytes),
                  human_bytes(before_bytes), seen_later(name, client_count)),
      {{"disk", name},
       {"size_bytes", size_bytes},
       {"before_size_bytes", before_bytes},
       {"client_count", client_count}});
  return 0;
}

}  // namespace casdisk
