#include "index/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "cas/os/parallel.h"
#include "index/store_format.h"

namespace casdisk {
namespace {

constexpr std::string_view kTrialPrefix = "size-";

}  // namespace

Result<void> Store::init(const std::string& path, Codec codec) {
  TRY_ASSIGN(auto file_system, make_file_system(IoChoice::kPosix, nullptr));
  TRY(make_directories(*file_system, path));
  SystemMachine machine;
  return init(path, codec, *file_system, machine);
}

Result<void> Store::init(const std::string& path, Codec codec, FileSystem& file_system,
                         Machine& machine) {
  return make_store_directory(file_system, machine, path, codec);
}

Result<std::unique_ptr<Store>> Store::open(const std::string& path, const StoreOptions& options) {
  std::unique_ptr<Store> store(new Store);
  store->path_ = path;
  store->options_ = options;
  store->machine_ = options.machine ? options.machine : std::make_shared<SystemMachine>();
  store->file_system_ = options.file_system;
  if (!store->file_system_) {
    std::string note;
    TRY_ASSIGN(store->file_system_, make_file_system(options.io, &note));
    if (!note.empty()) options.log(note);
  }
  TRY_ASSIGN(store->codec_, read_store_format(*store->file_system_, path));
  TRY_ASSIGN(store->directory_, store->file_system_->open_directory(path));
  TRY_ASSIGN(FileLock lock, store->machine_->share_lock(path + "/lock", "store " + path));
  store->lock_ = std::move(lock);
  TRY(settle_names(*store->directory_));
  TRY(check_table_exists(*store->directory_));

  TRY_ASSIGN(store->reserve_, SpaceReserve::open(*store->directory_, options.reserve_bytes));
  SpaceReserve* reserve = store->reserve_.get();
  LocalStoreOptions chunk_options;
  chunk_options.reserve = reserve;
  chunk_options.machine = store->machine_.get();
  chunk_options.needs_sessions = true;
  chunk_options.codec = store->codec_;
  chunk_options.cache_bytes = options.cache_bytes;
  TRY_ASSIGN(store->chunks_, LocalStore::open(*store->file_system_, path, chunk_options));
  TRY(check_catalog_exists(*store->directory_));
  TRY_ASSIGN(store->meta_,
             store->machine_->open_environment(
                 path + "/meta", {kMetaMapBytes, make_room_with(reserve), kRebuildTable}));
  store->catalog_ = std::make_unique<Catalog>(*store->meta_);
  TRY_ASSIGN(store->views_, Views::open(*store->machine_, *store->directory_, reserve,
                                        fmt::format("{:016x}", store->random())));
  return store;
}

unsigned Store::threads() const { return options_.threads > 0 ? options_.threads : core_count(); }

std::string Store::lease_path(uint64_t uid) const { return path_ + "/leases/" + uid_name(uid); }

Result<FileLock> Store::lease(const std::string& disk, uint64_t uid) {
  TRY_ASSIGN(FileLock lease, machine_->lock(lease_path(uid), "disk " + disk, options_.lease_note));
  TRY(meta_->catch_up());
  return lease;
}

Result<std::optional<LockHolder>> Store::lease_holder(uint64_t uid) const {
  return machine_->lock_holder(lease_path(uid));
}

Result<FileLock> Store::gc_lock() {
  return with_reserve(reserve_.get(), [&] {
    return machine_->lock(path_ + "/sessions/gc", "garbage collection", "");
  });
}

void Store::drop_lease_file(uint64_t uid) {
  auto leases = directory_->open_directory("leases");
  if (leases.ok()) (void)leases.value()->remove(uid_name(uid)).ok();
}

Result<std::unique_ptr<Directory>> Store::disk_directory(uint64_t uid, bool create) {
  TRY_ASSIGN(auto disks, directory_->open_directory("disks"));
  if (create) {
    TRY(with_reserve(reserve_.get(), [&] { return disks->make_directory(uid_name(uid)); }));
    if (auto synced = disks->sync(); !synced.ok()) {
      // Its name may be lost, and no later sync would tell: whoever tries again makes it anew.
      (void)disks->remove_directory(uid_name(uid)).ok();
      return std::move(synced.error());
    }
  }
  auto opened = disks->open_directory(uid_name(uid));
  if (opened.ok() || opened.error().fault != Fault::kNotFound) return opened;
  return std::unique_ptr<Directory>();
}

Result<void> Store::remove_disk_directory(uint64_t uid) {
  TRY_ASSIGN(auto directory, disk_directory(uid, false));
  if (!directory) return {};
  TRY_ASSIGN(auto names, directory->list());
  for (const std::string& name : names) TRY(directory->remove(name));
  TRY_ASSIGN(auto disks, directory_->open_directory("disks"));
  return disks->remove_directory(uid_name(uid));
}

// A directory is made after its disk has entered the catalog: what was listed before and is not in
// it now is of a disk that is gone. Leases of disks that live are not touched, since taking one for
// a try would make others fail.
Result<void> Store::remove_orphans() {
  TRY_ASSIGN(auto disks, directory_->open_directory("disks"));
  TRY_ASSIGN(auto names, disks->list());
  std::vector<NamedHead> heads;
  TRY(catalog_->view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(heads, reader.heads());
    return {};
  }));
  for (const std::string& name : names) {
    if (name.starts_with(kTrialPrefix)) (void)disks->remove(name).ok();
    const auto uid = uid_from_name(name);
    if (!uid) continue;
    if (std::any_of(heads.begin(), heads.end(),
                    [&](const NamedHead& named) { return named.head.uid == *uid; })) {
      continue;
    }
    auto held = lease("in the way", *uid);
    if (!held.ok()) continue;  // still in use
    TRY(remove_disk_directory(*uid));
    drop_lease_file(*uid);
  }
  return {};
}

// On a file that is made for it, since file systems do not tell.
Result<void> Store::check_overlay_size(uint64_t size_bytes) {
  TRY_ASSIGN(auto disks, directory_->open_directory("disks"));
  std::string trial = fmt::format("{}{:016x}", kTrialPrefix, random());
  TRY_ASSIGN(auto file, disks->open(trial, OpenMode::kCreate));
  auto resized = file->resize(size_bytes);
  auto removed = disks->remove(trial);
  if (!removed.ok() && removed.error().fault != Fault::kNotFound) return removed;
  if (resized.ok() || resized.error().os_error != EFBIG) return resized;
  return Error{Fault::kInvalid, 0,
               fmt::format("a disk of {} bytes: the file system of {} takes no file that large",
                           size_bytes, path_)};
}

Result<std::shared_ptr<Fallback>> Store::fallback(const FallbackId& id) {
  std::lock_guard lock(fallbacks_mutex_);
  if (auto shared = fallbacks_[id].lock()) return shared;
  std::optional<FallbackRecord> record;
  TRY(catalog_->view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(record, reader.find_fallback(id));
    return {};
  }));
  if (!record) {
    return Error{Fault::kDamaged, 0,
                 fmt::format("fallback {} is named by a disk and not in the catalog; `casdisk "
                             "repair --fallback FILE` takes the file again",
                             to_hex(id))};
  }
  auto shared = std::make_shared<Fallback>(*file_system_, *chunks_, *catalog_, *views_, *record,
                                           options_.log);
  TRY(shared->refresh());
  if (!options_.background_ingest) shared->ingest_on_demand_only();
  fallbacks_[id] = shared;
  return shared;
}

Result<Layers> Store::sealed_layers(const Entry& root, uint64_t size_bytes,
                                    const std::optional<FallbackUse>& fallback_use) {
  Layers layers;
  layers.file_system = file_system_.get();
  layers.chunks = chunks_.get();
  layers.size_bytes = size_bytes;
  layers.tree = Tree{root, chunks_for(size_bytes)};
  layers.pin = std::make_shared<TreePin>(*views_, layers.tree);
  if (fallback_use) {
    TRY_ASSIGN(layers.fallback, fallback(fallback_use->file));
    if (fallback_use->limit_bytes > layers.fallback->size_bytes()) {
      return Error{Fault::kDamaged, 0,
                   fmt::format("{} bytes of the fallback {} are said to be used, which has {}; "
                               "`casdisk repair --rebuild` makes the catalog anew from the packs",
                               fallback_use->limit_bytes, layers.fallback->path(),
                               layers.fallback->size_bytes())};
    }
    layers.fallback_limit_bytes = fallback_use->limit_bytes;
  }
  return layers;
}

}  // namespace casdisk
