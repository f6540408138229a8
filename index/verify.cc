#include "index/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <unordered_map>

#include "cas/os/parallel.h"
#include "cas/pack_scan.h"
#include "index/generation_check.h"

namespace casdisk {
namespace {

// Objects looked up, or read, by one thread in one go.
constexpr size_t kObjectsPerTask = 64;

// Whether a chunk belongs to the sample: its id is random, so any eight bytes of it are.
bool is_drawn(const ChunkId& id, const VerifyOptions& options) {
  if (options.sample_percent >= 100) return true;
  uint64_t value = load_le<uint64_t>(id.bytes.data()) ^ options.sample_seed;
  value = (value ^ (value >> 31)) * 0x9E3779B97F4A7C15;  // seeds that differ in a bit differ in all
  return double(value >> 11) * 0x1p-53 * 100 < options.sample_percent;
}

class Verifier {
 public:
  Verifier(Store& store, const std::optional<VolumeName>& name, const VerifyOptions& options)
      : store_(store), chunks_(store.local_chunks()), name_(name), options_(options) {}

  Result<VerifyReport> run() {
    report_.is_sample = options_.sample_percent < 100;
    TRY_ASSIGN(const CatalogRoots roots, find_roots());
    if (options_.depth == VerifyDepth::kNames) {
      TRY(look_at_packs());
    } else if (!name_ && !report_.is_sample) {
      TRY(check_all_packs());
    }
    TRY(check_records(roots));
    TRY(walk(roots));
    TRY(map_damage());
    TRY(forget_collected());
    TRY(check_unsealed_writes());
    report_.checked_bytes += read_bytes_;
    return std::move(report_);
  }

 private:
  Result<CatalogRoots> find_roots() {
    return name_ ? roots_of(store_.catalog(), *name_) : roots_of(store_.catalog());
  }

  Result<void> progress(uint64_t more_bytes) {
    const uint64_t done_bytes = read_bytes_ += more_bytes;
    if (options_.progress(done_bytes, 0)) return {};
    return Error{Fault::kIo, EINTR, "stopped"};
  }

  Result<void> check_all_packs() {
    PackCheckOptions pack_options;
    pack_options.threads = options_.threads;
    pack_options.progress = options_.progress;
    TRY_ASSIGN(PackCheck check, check_packs(chunks_, pack_options));
    for (const uint64_t pack : check.packs) known_packs_[pack] = UINT64_MAX;
    report_.unnamed = std::move(check.unnamed);
    report_.unnamed_count = check.unnamed_count;
    report_.checked_bytes = check.checked_bytes;
    report_.chunk_count = check.record_count;
    std::vector<ChunkId> suspects;
    for (const LocatedObject& suspect : check.suspects) suspects.push_back(suspect.id);
    TRY(read_all(suspects, std::nullopt));
    report_.object_count += check.suspect_count - check.suspects.size();
    return {};
  }

  // Instead of reading them: how far they reach.
  Result<void> look_at_packs() {
    TRY_ASSIGN(const auto ids, list_packs(chunks_.packs()));
    for (const uint64_t pack : ids) {
      auto file = chunks_.packs().open(pack_file_name(pack), OpenMode::kRead);
      if (!file.ok()) continue;  // just removed
      TRY_ASSIGN(known_packs_[pack], file.value()->size());
    }
    if (name_) return {};
    std::vector<ChunkId> suspects;
    TRY(chunks_.locations().for_each(
        [&](const ChunkId& id, const LocationTable::Entry& entry) -> Result<void> {
          if (!is_known_whole(entry) && suspects.size() < kMaxSuspects) suspects.push_back(id);
          return {};
        }));
    return read_all(suspects, std::nullopt);
  }

  // It was read with its pack, or need not be.
  bool is_known_whole(const LocationTable::Entry& entry) const {
    const auto pack = known_packs_.find(entry.location.pack);
    if (pack == known_packs_.end()) return false;
    if (options_.depth == VerifyDepth::kNames && entry.damaged) return false;
    return entry.location.offset + entry.location.record_bytes <= pack->second;
  }

  // Reads objects past the cache, in the order in which they lie. Those that are damaged are noted.
  Result<void> read_all(std::span<const ChunkId> ids, std::optional<ObjectKind> kind) {
    std::vector<std::pair<PackLocation, ChunkId>> located(ids.size());
    TRY(in_tasks(ids.size(), [&](size_t i) -> Result<void> {
      TRY_ASSIGN(auto entry, chunks_.locations().lookup(ids[i]));
      located[i] = {entry ? entry->location : PackLocation(), ids[i]};
      return {};
    }));
    std::ranges::sort(located, [](const auto& a, const auto& b) {
      return std::pair(a.first.pack, a.first.offset) < std::pair(b.first.pack, b.first.offset);
    });
    return in_tasks(located.size(), [&](size_t i) -> Result<void> {
      auto object = chunks_.get_stored(located[i].second);
      if (object.ok() && is_of_kind(*object.value(), kind)) {
        return progress(object.value()->size());
      }
      if (object.ok()) object = Error{Fault::kDamaged, 0, "is no chunk, and stands for one"};
      if (!means_damage(object.error())) return std::move(object.error());
      return note_bad(located[i].second, kind, object.error());
    });
  }

  static bool is_of_kind(std::span<const std::byte> object, std::optional<ObjectKind> kind) {
    return kind != ObjectKind::kChunk || object.size() == kChunkBytes;
  }

  Result<void> in_tasks(size_t count, const std::function<Result<void>(size_t)>& body) const {
    const size_t tasks = (count + kObjectsPerTask - 1) / kObjectsPerTask;
    return parallel_for(tasks, options_.threads, [&](size_t task) -> Result<void> {
      const size_t end = std::min(count, (task + 1) * kObjectsPerTask);
      for (size_t i = task * kObjectsPerTask; i < end; i++) TRY(body(i));
      return {};
    });
  }

  Result<void> note_bad(const ChunkId& id, std::optional<ObjectKind> kind, const Error& error) {
    TRY_ASSIGN(auto entry, chunks_.locations().lookup(id));
    std::lock_guard lock(mutex_);
    auto known = bad_.find(id);
    if (known != bad_.end()) {
      BadObject& object = report_.objects[known->second];
      if (!object.kind) object.kind = kind;
      return {};
    }
    report_.object_count++;
    if (report_.objects.size() >= kMaxObjects) return {};
    bad_.emplace(id, report_.objects.size());
    BadObject bad{id, kind, std::nullopt, describe(error), {}, 0};
    if (entry) bad.location = entry->location;
    report_.objects.push_back(std::move(bad));
    return {};
  }

  Result<void> check_records(const CatalogRoots& roots) {
    report_.record_count = roots.records.size();
    for (const auto& [id, error] : roots.bad_records) {
      if (!means_damage(error)) return error;
      report_.problems.push_back(describe(error));
    }
    return check_named(roots.records, ObjectKind::kCheckpoint);
  }

  // Objects that the catalog or a page names. What lies in a pack that was checked as a whole has
  // been read; all else is read now.
  Result<void> check_named(std::span<const ChunkId> ids, ObjectKind kind) {
    std::vector<ChunkId> unread;
    std::mutex mutex;
    TRY(in_tasks(ids.size(), [&](size_t i) -> Result<void> {
      {
        std::lock_guard lock(mutex_);
        auto known = bad_.find(ids[i]);
        if (known != bad_.end()) {
          report_.objects[known->second].kind = kind;
          return {};
        }
      }
      TRY_ASSIGN(auto entry, chunks_.locations().lookup(ids[i]));
      if (entry && is_known_whole(*entry)) return {};
      std::lock_guard lock(mutex);
      unread.push_back(ids[i]);
      return {};
    }));
    if (kind == ObjectKind::kChunk) report_.chunk_count += unread.size();
    return read_all(unread, kind);
  }

  Result<void> walk(const CatalogRoots& roots) {
    report_.volume_count = roots.roots.size();
    PageVisitor visitor;
    visitor.read = [this](const ChunkId& id) { return read_page(id); };
    visitor.bad_page = [this](const ChunkId& id, uint32_t, const Error& error) -> Result<void> {
      if (!means_damage(error)) return error;
      return note_bad(id, ObjectKind::kPage, error);
    };
    std::vector<ChunkId> drawn;
    visitor.visit = [&](const PageBatch& batch) -> Result<void> {
      report_.page_count += batch.pages.size();
      report_.chunk_total += batch.chunks.size();
      drawn.clear();
      for (const ChunkId& id : batch.chunks) {
        if (is_drawn(id, options_)) drawn.push_back(id);
      }
      TRY(check_named(drawn, ObjectKind::kChunk));
      return progress(0);
    };
    return walk_pages(roots.roots, visitor, options_.threads);
  }

  Result<Object> read_page(const ChunkId& id) {
    auto object = chunks_.get_stored(id);
    if (object.ok()) TRY(progress(object.value()->size()));
    return object;
  }

  // Whom the damage touches, by the catalog as it is now: what was removed meanwhile has lost
  // nothing.
  Result<void> map_damage() {
    auto roots = find_roots();
    if (!roots.ok() && roots.error().fault == Fault::kNotFound) return {};
    if (!roots.ok()) return std::move(roots.error());
    // Tables first: those who use them have lost what they have.
    auto& all = roots.value().roots;
    std::stable_partition(all.begin(), all.end(),
                          [](const auto& root) { return bool(root.is_table_of); });
    DamageMapOptions map_options;
    map_options.is_bad = [this](const ChunkId& id) { return bad_.contains(id); };
    map_options.read_page = [this](const ChunkId& id) { return chunks_.get(id); };
    map_options.met = [this](const ChunkId& id, const CatalogRoot& root, ByteRange range) {
      note_use(id, root.name, range);
    };
    DamageMap map(std::move(map_options));
    for (const CatalogRoot& root : all) {
      if (root.record) note_use(*root.record, root.name, {});
      if (bad_.empty()) continue;
      TRY_ASSIGN(VolumeDamage damage, map.damage_of(root));
      if (damage.ranges.count() > 0) report_.volumes.push_back(std::move(damage));
    }
    return check_fallbacks(all, map);
  }

  // What nothing uses and the store does not know any more was collected while we looked at it.
  Result<void> forget_collected() {
    std::vector<BadObject> kept;
    for (BadObject& object : report_.objects) {
      TRY_ASSIGN(auto entry, chunks_.locations().lookup(object.id));
      if (entry || object.use_count > 0) kept.push_back(std::move(object));
    }
    report_.object_count -= report_.objects.size() - kept.size();
    report_.objects = std::move(kept);
    bad_.clear();
    return {};
  }

  void note_use(const ChunkId& id, const std::string& volume, ByteRange range) {
    auto known = bad_.find(id);
    if (known == bad_.end()) return;
    BadObject& object = report_.objects[known->second];
    object.use_count++;
    if (object.uses.size() < BadObject::kMaxUses) object.uses.push_back({volume, range});
  }

  Result<void> check_fallbacks(std::span<const CatalogRoot> roots, DamageMap& map) {
    for (const CatalogRoot& table : roots) {
      if (!table.is_table_of) continue;
      TRY_ASSIGN(auto fallback, store_.fallback(*table.is_table_of));
      FallbackState state{*table.is_table_of, fallback->path(), std::nullopt, {}};
      if (auto held = fallback->check_pin(); !held.ok()) state.failure = std::move(held.error());
      for (const CatalogRoot& root : roots) {
        if (!root.fallback || root.fallback->file != *table.is_table_of) continue;
        TRY_ASSIGN(RangeList ranges, map.not_ingested(root, table));
        if (ranges.count() > 0) state.not_ingested.push_back({root.name, std::move(ranges)});
      }
      report_.fallbacks.push_back(std::move(state));
    }
    for (const CatalogRoot& root : roots) {
      if (!root.fallback) continue;
      const auto is_it = [&](const FallbackState& state) {
        return state.id == root.fallback->file;
      };
      if (std::ranges::any_of(report_.fallbacks, is_it)) continue;
      report_.problems.push_back(
          fmt::format("{}: its fallback {} is not in the catalog; `casdisk repair --fallback FILE` "
                      "takes the file again",
                      root.name, to_hex(root.fallback->file)));
    }
    return {};
  }

  Result<void> check_unsealed_writes() {
    std::vector<std::string> disks;
    if (name_) {
      disks.push_back(name_->disk);
    } else {
      TRY(store_.catalog().view([&](CatalogReader& reader) -> Result<void> {
        TRY_ASSIGN(auto heads, reader.heads());
        for (const NamedHead& named : heads) disks.push_back(named.name);
        return {};
      }));
    }
    for (const std::string& disk : disks) {
      auto checked = check_unsealed(store_, disk);
      if (!checked.ok() && checked.error().fault == Fault::kNotFound) continue;  // just removed
      if (!checked.ok()) return std::move(checked.error());
      const UnsealedCheck& found = checked.value();
      TRY(progress(found.checked_bytes));
      for (const std::string& problem : found.problems) {
        report_.problems.push_back(fmt::format("disk {}: {}", disk, problem));
      }
      if (!found.holder) continue;
      report_.notes.push_back(
          fmt::format("disk {} is held by pid {}, which looks after what is written and not sealed",
                      disk, found.holder->pid));
    }
    return {};
  }

  // Fixed after construction.
  Store& store_;
  LocalStore& chunks_;
  const std::optional<VolumeName> name_;
  const VerifyOptions& options_;

  // How far packs reach of which all that the table names was read, or counts as whole. Fixed
  // before the walk.
  std::unordered_map<uint64_t, uint64_t> known_packs_;
  std::atomic<uint64_t> read_bytes_ = 0;
  std::mutex mutex_;
  // Guarded by mutex_ while threads are at work.
  std::unordered_map<ChunkId, size_t> bad_;  // into report_.objects
  VerifyReport report_;
};

}  // namespace

bool VerifyReport::is_clean() const {
  const auto has_failed = [](const FallbackState& state) {
    return state.failure && !state.not_ingested.empty();
  };
  return object_count == 0 && problems.empty() && std::ranges::none_of(fallbacks, has_failed);
}

Result<VerifyReport> verify_store(Store& store, const VerifyOptions& options) {
  return Verifier(store, std::nullopt, options).run();
}

Result<VerifyReport> verify_volume(Store& store, const VolumeName& name,
                                   const VerifyOptions& options) {
  return Verifier(store, name, options).run();
}

}  // namespace casdisk
