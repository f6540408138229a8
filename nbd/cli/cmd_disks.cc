// casdisk create, fork, rm
#include <fmt/format.h>

#include "index/lineage.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"
#include "nbd/control/served_disk.h"

namespace casdisk {
namespace {

Result<uint64_t> size_of_disk(Store& store, const std::string& name) {
  TRY_ASSIGN(HeadRecord head, store.catalog().head(name));
  return head.size_bytes;
}

Result<void> fork(Store& store, const VolumeName& source, const std::string& name,
                  std::optional<uint64_t> size_bytes) {
  // All that these ask of a server is to seal, which they do by themselves.
  if (source.is_checkpoint() || size_bytes) return fork_disk(store, source, name, size_bytes);
  return here_or_at_server(
      store, source.disk, [&] { return fork_disk(store, source, name, std::nullopt); },
      [&](std::unique_ptr<ControlClient> server) -> Result<void> {
        ControlRequest request = request_for(source.disk, ControlOperation::kFork);
        request.new_disk = name;
        TRY(server->call(request, [](uint64_t) {}));
        return {};
      });
}

}  // namespace

Syntax create_syntax() {
  return {.positionals = {{"DISK"}},
          .options = {{"size", "SIZE", "such as 10G; with --fallback its default is the file's"},
                      {"fallback", "FILE",
                       "a raw image or block device that answers for what is not\n"
                       "written yet; it must not change (see `casdisk ingest`)"}},
          .about = "Makes a disk of zeros, or one that reads as FILE until it is written to.",
          .exit_codes = "  1 when DISK exists already or FILE does not\n",
          .examples =
              "  casdisk create scratch --size 10G\n"
              "  casdisk create web --fallback /srv/debian.raw\n"};
}

Result<int> run_create(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(std::string name, disk_name(arguments.positional(0)));
  CreateOptions options;
  TRY_ASSIGN(options.size_bytes, arguments.size("size"));
  options.fallback = arguments.text("fallback");
  TRY_ASSIGN(Store * store, session.store());
  TRY(create_disk(*store, name, options));
  TRY_ASSIGN(uint64_t size_bytes, size_of_disk(*store, name));
  Json fallback = options.fallback ? Json(*options.fallback) : Json(nullptr);
  session.console().answer(fmt::format("made disk {}, {}\n", name, human_bytes(size_bytes)),
                           {{"disk", name}, {"size_bytes", size_bytes}, {"fallback", fallback}});
  return 0;
}

Syntax fork_syntax() {
  return {
      .positionals = {{"SRC"}, {"DISK"}},
      .options = {{"size", "SIZE", "of the new disk, larger or smaller than SRC"}},
      .about =
          "Makes DISK with the content of SRC, a disk or disk@checkpoint, without copying it and\n"
          "at once, whoever writes to SRC. What SRC has unsealed is sealed before DISK is opened;\n"
          "with --size before the fork.",
      .exit_codes = "  1 when SRC does not exist or DISK does\n",
      .examples =
          "  casdisk fork debian@import web\n  casdisk fork debian@import big --size 100G\n"};
}

Result<int> run_fork(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(VolumeName source, parse_volume_name(arguments.positional(0)));
  TRY_ASSIGN(std::string name, disk_name(arguments.positional(1)));
  TRY_ASSIGN(auto wanted_bytes, arguments.size("size"));
  TRY_ASSIGN(Store * store, session.store());
  {
    ProgressBar bar("fork " + source.text(), std::nullopt, session.progress());
    TRY(fork(*store, source, name, wanted_bytes));
  }
  TRY_ASSIGN(uint64_t size_bytes, size_of_disk(*store, name));
  session.console().answer(
      fmt::format("forked {} from {}, {}\n", name, source.text(), human_bytes(size_bytes)),
      {{"disk", name}, {"source", source.text()}, {"size_bytes", size_bytes}});
  return 0;
}

Syntax rm_syntax() {
  return {
      .positionals = {{"X"}},
      .about =
          "Removes a disk with all its checkpoints, or one checkpoint, disk@checkpoint. Forks\n"
          "keep what they have. What was written and not sealed is free at once; chunks stay in\n"
          "the store, where an import of the same finds them, until the next `casdisk gc`.",
      .examples = "  casdisk rm web\n  casdisk rm web@monday\n"};
}

Result<int> run_rm(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(VolumeName name, parse_volume_name(arguments.positional(0)));
  TRY_ASSIGN(Store * store, session.store());
  if (name.is_checkpoint()) {
    TRY(remove_checkpoint(*store, name));
  } else {
    TRY(remove_disk(*store, name.disk));
  }
  session.console().answer(fmt::format("removed {}\n", name.text()), {{"removed", name.text()}});
  return 0;
}

}  // namespace casdisk
