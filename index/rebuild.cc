#include "index/rebuild.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <set>

#include "cas/kv/lmdb_salvage.h"
#include "cas/location_rebuild.h"
#include "cas/os/file_lock.h"
#include "cas/pack_scan.h"
#include "index/catalog_rebuild.h"
#include "index/generation.h"
#include "index/root_walk.h"
#include "index/store.h"
#include "index/store_format.h"

namespace casdisk {
namespace {

ChunkId id_in(std::span<const std::byte> bytes) {
  ChunkId id;
  if (bytes.size() == id.bytes.size()) std::ranges::copy(bytes, id.bytes.begin());
  return id;
}

std::string text_in(std::span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

class Rebuilder {
 public:
  Rebuilder(FileSystem& file_system, const std::string& path, const RebuildOptions& options)
      : file_system_(file_system), path_(path), options_(options) {}

  Result<RebuildReport> run() {
    TRY_ASSIGN(store_, file_system_.open_directory(path_));
    TRY_ASSIGN(const bool locations_whole, is_table_whole());
    report_.locations_lost = !locations_whole;
    TRY(salvage_catalog());
    if (options_.dry_run) return std::move(report_);
    if (report_.locations_lost) TRY(rebuild_table());
    if (report_.catalog_lost) TRY(rebuild_catalog_here());
    return std::move(report_);
  }

 private:
  // Where the environment is, or where an interrupted rebuild has put it.
  std::string place_of(const std::string& name) const {
    std::error_code failure;
    if (std::filesystem::exists(path_ + "/" + name + "/data.mdb", failure))
      return path_ + "/" + name;
    for (unsigned i = last_lost(name); i > 0; i--) {
      std::string lost = fmt::format("{}/{}.lost-{}", path_, name, i);
      if (std::filesystem::exists(lost + "/data.mdb", failure)) return lost;
    }
    return path_ + "/" + name;
  }

  unsigned last_lost(const std::string& name) const {
    unsigned last = 0;
    std::error_code failure;
    while (std::filesystem::exists(fmt::format("{}/{}.lost-{}", path_, name, last + 1), failure)) {
      last++;
    }
    return last;
  }

  Result<bool> is_table_whole() {
    bool has_version = false;
    Bytes store_id;
    TRY_ASSIGN(const Salvage read,
               salvage(path_ + "/locations", {}, [&](auto key, auto value) -> Result<void> {
                 has_version |= text_in(key) == "V";
                 if (text_in(key) == "S") store_id.assign(value.begin(), value.end());
                 return {};
               }));
    if (!read.is_complete || !has_version) return false;
    return is_of_packs(store_id);
  }

  // A table that somebody made anew, not knowing of the packs, has another store id than they.
  Result<bool> is_of_packs(std::span<const std::byte> store_id) {
    TRY_ASSIGN(auto packs, store_->open_directory("packs"));
    TRY_ASSIGN(const auto ids, list_packs(*packs));
    bool has_header = false;
    for (const uint64_t pack : ids) {
      TRY_ASSIGN(auto file, packs->open(pack_file_name(pack), OpenMode::kRead));
      Bytes bytes(kPackHeaderBytes);
      if (!file->read(0, bytes).ok()) continue;
      const auto header = decode_pack_header(bytes);
      if (!header.ok()) continue;
      if (std::ranges::equal(header.value().store, store_id)) return true;
      has_header = true;
    }
    return !has_header && !store_id.empty();
  }

  // Scope by scope: one that cannot be read to its end does not take the others with it.
  Result<void> salvage_catalog() {
    const std::string place = place_of("meta");
    bool is_whole = place == path_ + "/meta";
    const auto scope = [&](std::string_view prefix, const auto& take) -> Result<bool> {
      bool is_right = true;
      TRY_ASSIGN(const Salvage read,
                 salvage(place, as_bytes(prefix), [&](auto key, auto value) -> Result<void> {
                   is_right &= take(key.subspan(1), value);
                   return {};
                 }));
      is_whole &= read.is_complete && is_right;
      return read.is_complete && is_right;
    };
    TRY_ASSIGN(remains_.heads_are_complete, scope("D", [&](auto key, auto value) {
                 auto head = decode_head(value);
                 if (!head.ok()) return false;
                 remains_.heads.emplace(text_in(key), std::move(head).value());
                 return true;
               }));
    TRY_ASSIGN(remains_.names_are_complete, scope("N", [&](auto key, auto value) {
                 if (key.size() <= 8 || value.size() != 32) return false;
                 uint64_t uid = 0;
                 for (size_t i = 0; i < 8; i++) uid = uid << 8 | uint8_t(key[i]);
                 remains_.names.emplace(std::pair(uid, text_in(key.subspan(8))), id_in(value));
                 return true;
               }));
    TRY_ASSIGN([[maybe_unused]] bool records, scope("K", [&](auto key, auto value) {
                 if (key.size() != 32 || hash_of(value) != id_in(key)) return false;
                 remains_.records.emplace(id_in(key), Bytes(value.begin(), value.end()));
                 return true;
               }));
    TRY_ASSIGN([[maybe_unused]] bool fallbacks, scope("F", [&](auto, auto value) {
                 auto record = decode_fallback(value);
                 if (!record.ok()) return false;
                 remains_.fallbacks.emplace(record.value().id(), record.value());
                 return true;
               }));
    TRY_ASSIGN([[maybe_unused]] bool uids, scope("I", [&](auto, auto value) {
                 ByteReader reader(value);
                 remains_.next_uid =
                     std::max(remains_.next_uid, reader.template number<uint64_t>());
                 return reader.finished();
               }));
    const bool has_records = std::ranges::all_of(
        remains_.names, [&](const auto& name) { return remains_.records.contains(name.second); });
    report_.catalog_lost = !is_whole || !has_records;
    return {};
  }

  LocationRebuildOptions scan_options() {
    LocationRebuildOptions options;
    options.threads = options_.threads;
    options.progress = options_.progress;
    options.checkpoint = [this](const ChunkId& id, std::span<const std::byte> record) {
      std::lock_guard lock(mutex_);
      remains_.records.emplace(id, Bytes(record.begin(), record.end()));
    };
    return options;
  }

  Result<void> rebuild_table() {
    TRY(begin_new("locations"));
    TRY_ASSIGN(auto packs, store_->open_directory("packs"));
    {
      SystemMachine machine;
      TRY_ASSIGN(auto table, LocationTable::open(machine, path_ + "/locations.new",
                                                 {LocalStoreOptions().map_bytes, nullptr}));
      TRY_ASSIGN(const LocationRebuild found,
                 rebuild_locations(*packs, table.get(), scan_options()));
      report_.pack_count = found.pack_count;
      report_.damaged_count = found.damaged_count;
      TRY_ASSIGN(report_.object_count, table->object_count());
    }
    has_scanned_ = true;
    return take_place("locations");
  }

  Result<void> rebuild_catalog_here() {
    if (!has_scanned_) {
      TRY_ASSIGN(auto packs, store_->open_directory("packs"));
      TRY(rebuild_locations(*packs, nullptr, scan_options()));
    }
    TRY(read_notes());
    LocalStoreOptions chunk_options;
    TRY_ASSIGN(auto chunks, LocalStore::open(file_system_, path_, chunk_options));
    remains_.is_readable = [&](const Tree& tree) {
      if (tree.root.state != EntryState::kId) return true;
      return page_under(*chunks, tree.root, levels_for(tree.chunk_count) - 1).ok();
    };
    remains_.now_ns = SystemMachine().now_ns();
    RebuiltCatalog rebuilt = rebuild_catalog(std::move(remains_));
    TRY(begin_new("meta"));
    {
      TRY_ASSIGN(auto environment,
                 LmdbEnvironment::open(path_ + "/meta.new", {.map_bytes = kMetaMapBytes}));
      TRY(fill_catalog(Catalog(*environment), rebuilt));
    }
    TRY(keep_orphans_aside(rebuilt.orphans));
    TRY(take_place("meta"));
    report_.disk_count = rebuilt.heads.size();
    report_.checkpoint_count = rebuilt.names.size();
    report_.said.insert(report_.said.end(), rebuilt.said.begin(), rebuilt.said.end());
    return {};
  }

  Result<void> read_notes() {
    TRY_ASSIGN(auto disks, store_->open_directory("disks"));
    TRY_ASSIGN(const auto names, disks->list());
    for (const std::string& name : names) {
      const auto uid = uid_from_name(name);
      if (!uid) continue;
      remains_.directories.insert(*uid);
      TRY_ASSIGN(auto directory, disks->open_directory(name));
      auto note = read_head_note(*directory);
      if (!note.ok()) {
        report_.said.push_back(fmt::format("disks/{}: {}", name, describe(note.error())));
      } else if (note.value() && has_generations(*directory, note.value()->head)) {
        TRY(add_newer_generations(*directory, note.value()->head));
        remains_.notes.emplace(*uid, std::move(*note.value()));
      }
    }
    return {};
  }

  // A note is older than its directory where the machine went down between the two, or it could not
  // be written.
  bool has_generations(Directory& directory, const HeadRecord& head) {
    return std::ranges::all_of(head.generations, [&](const HeadGeneration& generation) {
      return directory.open(Generation::file_name(generation.number, "overlay"), OpenMode::kRead)
          .ok();
    });
  }

  // Cuts do not wait for their note. A generation's journal is made last of its files.
  Result<void> add_newer_generations(Directory& directory, HeadRecord& head) {
    std::set<uint64_t> newer;
    TRY_ASSIGN(const auto names, directory.list());
    for (const std::string& name : names) {
      const auto number = Generation::number_of(name);
      if (number && *number >= head.next_generation && name.ends_with(".journal")) {
        newer.insert(*number);
      }
    }
    for (const uint64_t number : newer) {
      head.generations.push_back({number, head.size_bytes});
      head.next_generation = number + 1;
      head.active = true;
    }
    return {};
  }

  // Before the new catalog is in place: after it, the first `rm` would take them for leftovers.
  Result<void> keep_orphans_aside(std::span<const uint64_t> orphans) {
    TRY_ASSIGN(auto disks, store_->open_directory("disks"));
    for (const uint64_t uid : orphans) {
      const std::string name = uid_name(uid), lost = "lost-" + name;
      TRY(disks->rename(name, lost));
      report_.kept_aside.push_back(fmt::format("{}/disks/{}", path_, lost));
      report_.said.push_back(fmt::format(
          "disks/{}: nothing says whose it is; kept, with what was written and not sealed", lost));
    }
    return orphans.empty() ? Result<void>() : disks->sync();
  }

  // An empty directory `<name>.new`.
  Result<void> begin_new(const std::string& name) {
    const std::string fresh = name + ".new";
    auto left = store_->open_directory(fresh);
    if (left.ok()) {
      TRY_ASSIGN(const auto files, left.value()->list());
      for (const std::string& file : files) TRY(left.value()->remove(file));
    }
    return store_->make_directory(fresh);
  }

  // The new one is whole and synced (LMDB commits are).
  Result<void> take_place(const std::string& name) {
    TRY_ASSIGN(auto fresh, store_->open_directory(name + ".new"));
    TRY(fresh->sync());
    TRY(store_->sync());
    TRY(begin_names(*store_));
    std::error_code failure;
    if (std::filesystem::exists(path_ + "/" + name, failure)) {
      const std::string lost = fmt::format("{}.lost-{}", name, last_lost(name) + 1);
      TRY(store_->rename(name, lost));
      report_.kept_aside.push_back(path_ + "/" + lost);
    }
    TRY(store_->rename(name + ".new", name));
    TRY(store_->sync());
    end_names(*store_);
    return {};
  }

  // Fixed after construction.
  FileSystem& file_system_;
  const std::string& path_;
  const RebuildOptions& options_;
  std::unique_ptr<Directory> store_;

  std::mutex mutex_;
  CatalogRemains remains_;  // records are guarded by mutex_ while packs are scanned
  bool has_scanned_ = false;
  RebuildReport report_;
};

}  // namespace

Result<RebuildReport> rebuild_store(FileSystem& file_system, const std::string& path,
                                    const RebuildOptions& options) {
  TRY(read_store_format(file_system, path));
  TRY_ASSIGN(FileLock lock, FileLock::acquire(path + "/lock", "store " + path));
  return Rebuilder(file_system, path, options).run();
}

Result<std::vector<std::string>> take_fallback_again(Store& store, const std::string& path) {
  std::error_code failure;
  FallbackRecord record;
  record.path = std::filesystem::canonical(path, failure);
  if (failure) return os_error(failure.value(), "fallback " + path);
  TRY_ASSIGN(auto file, store.file_system().open_foreign(record.path));
  TRY_ASSIGN(record.identity, file->identity());
  TRY_ASSIGN(const CatalogRoots roots, roots_of(store.catalog()));
  std::vector<std::string> users;
  for (const CatalogRoot& root : roots.roots) {
    if (root.fallback && root.fallback->file == record.id()) users.push_back(root.name);
  }
  if (users.empty()) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("nothing has {} as its fallback: path, inode, size and time of change "
                             "must be those of before",
                             record.path)};
  }
  TRY(store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
    TRY_ASSIGN(auto known, writer.find_fallback(record.id()));
    return known ? Result<void>() : writer.put_fallback(record.id(), record);
  }));
  return users;
}

}  // namespace casdisk
