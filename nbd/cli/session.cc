#include "nbd/cli/session.h"

#include <fmt/format.h>

#include "cas/os/parallel.h"
#include "index/checkpoint_view.h"
#include "index/disk.h"
#include "nbd/control/served_disk.h"
#include "nbd/default_store.h"
#include "nbd/plugin_config.h"

namespace casdisk {

const OptionSyntax kThreadsOption = {"threads", "N", "how many to work with (default: the cores)"};

Result<GlobalOptions> global_options_of(const Arguments& arguments) {
  GlobalOptions options;
  options.store = arguments.text("store");
  options.json = arguments.has("json");
  options.quiet = arguments.has("quiet");
  if (auto name = arguments.text("io")) {
    auto io = io_choice_from_name(*name);
    if (!io) {
      return Error{Fault::kInvalid, 0, fmt::format("--io {:?}: give auto, uring or posix", *name)};
    }
    options.io = *io;
  }
  if (auto text = arguments.text("cache")) {
    TRY_ASSIGN(options.cache_bytes, parse_cache_size(*text, "--cache"));
  }
  return options;
}

Result<std::string> Session::store_path() const {
  if (options_.store && options_.store->empty()) {
    return Error{Fault::kInvalid, 0, "--store is empty: give the directory of the store"};
  }
  if (options_.store) return *options_.store;
  return default_store_path(StoreEnvironment::of_this_process());
}

Result<Store*> Session::store() {
  if (!store_) {
    TRY_ASSIGN(std::string path, store_path());
    StoreOptions options;
    options.io = options_.io;
    options.cache_bytes = options_.cache_bytes.value_or(options.cache_bytes);
    options.log = [this](const std::string& line) { console_.note(line); };
    options.ask_to_seal = [path](const std::string& disk, const LockHolder& holder, SealWhat what) {
      return ask_server_to_seal(path, disk, holder, what);
    };
    TRY_ASSIGN(store_, Store::open(path, options));
  }
  return store_.get();
}

Result<std::shared_ptr<Volume>> Session::open_volume(const VolumeName& name) {
  TRY_ASSIGN(Store * opened, store());
  if (name.is_checkpoint()) {
    TRY_ASSIGN(auto view, CheckpointView::open(*opened, name));
    return std::shared_ptr<Volume>(std::move(view));
  }
  std::shared_ptr<Volume> volume;
  TRY(here_or_at_server(
      *opened, name.disk,
      [&]() -> Result<void> {
        TRY_ASSIGN(volume, Disk::open(*opened, name.disk, {}));
        return {};
      },
      [&](std::unique_ptr<ControlClient>) -> Result<void> {
        TRY_ASSIGN(volume, CheckpointView::of_head(*opened, name.disk));
        return {};
      }));
  return volume;
}

Result<unsigned> threads_of(const Arguments& arguments) {
  TRY_ASSIGN(auto threads, arguments.number("threads", 1, kMaxThreads));
  return unsigned(threads.value_or(core_count()));
}

Result<std::string> disk_name(const std::string& text) {
  TRY_ASSIGN(VolumeName name, parse_volume_name(text));
  if (!name.is_checkpoint()) return name.disk;
  return Error{Fault::kInvalid, 0,
               fmt::format("{} is a checkpoint; this takes a disk, such as {}", text, name.disk)};
}

Result<VolumeName> named_checkpoint(const Arguments& arguments) {
  TRY_ASSIGN(VolumeName name, parse_volume_name(arguments.positional(0)));
  if (arguments.positional_count() < 2) return name;
  TRY_ASSIGN(name.disk, disk_name(name.text()));
  name.checkpoint = arguments.positional(1);
  if (name.checkpoint.starts_with(name.disk + "@")) {
    name.checkpoint.erase(0, name.disk.size() + 1);
  }
  TRY(check_name(name.checkpoint, "checkpoint"));
  return name;
}

}  // namespace casdisk
