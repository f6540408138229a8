#include "index/repair.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "cas/os/parallel.h"
#include "cas/pack_scan.h"
#include "index/image_tree.h"
#include "index/losses.h"

namespace casdisk {
namespace {

// What is looked for, and how what was found is kept. Safe to call from any thread.
class Wanted {
 public:
  Wanted(ChunkStore& chunks, const RepairOptions& options, const VerifyReport& report)
      : chunks_(chunks), options_(options) {
    for (const BadObject& object : report.objects) {
      if (object.use_count > 0) ids_.insert(object.id);
    }
  }

  bool has(const ChunkId& id) const {
    std::lock_guard lock(mutex_);
    return ids_.contains(id);
  }
  bool is_empty() const {
    std::lock_guard lock(mutex_);
    return ids_.empty();
  }

  // Keeps `bytes`, and counts, if they are what is wanted under `id`.
  Result<void> offer(const ChunkId& id, ObjectKind kind, std::span<const std::byte> bytes,
                     std::atomic<uint64_t>& count) {
    if (!has(id) || hash_of(bytes) != id) return {};
    if (!options_.dry_run) TRY(chunks_.put(kind, bytes));
    std::lock_guard lock(mutex_);
    count += ids_.erase(id);
    return {};
  }

 private:
  ChunkStore& chunks_;
  const RepairOptions& options_;
  mutable std::mutex mutex_;
  std::unordered_set<ChunkId> ids_;  // guarded by mutex_
};

// A store for put_image() that keeps of an image what is wanted. The pages of its tree are stored
// all the same, since edits read them again; they take a two-thousandth of the image, and those
// that nothing names are garbage afterwards. In a dry run they are kept in memory.
class ImageFilter : public ChunkStore {
 public:
  ImageFilter(ChunkStore& chunks, Wanted& wanted, bool dry_run, std::atomic<uint64_t>& count)
      : chunks_(chunks), wanted_(wanted), dry_run_(dry_run), count_(count) {}

  Result<ChunkId> put(ObjectKind kind, std::span<const std::byte> bytes) override {
    const ChunkId id = hash_of(bytes);
    TRY(wanted_.offer(id, kind, bytes, count_));
    if (kind != ObjectKind::kPage) return id;
    if (!dry_run_) return chunks_.put(kind, bytes);
    std::lock_guard lock(mutex_);
    pages_.emplace(id, std::make_shared<const ObjectContent>(bytes.begin(), bytes.end()));
    return id;
  }
  Result<Object> get(const ChunkId& id) override {
    {
      std::lock_guard lock(mutex_);
      if (auto page = pages_.find(id); page != pages_.end()) return page->second;
    }
    return chunks_.get(id);
  }
  Result<std::vector<Object>> get_many(std::span<const ChunkId> ids) override {
    return chunks_.get_many(ids);
  }
  Result<void> sync() override { return chunks_.sync(); }

 private:
  ChunkStore& chunks_;
  Wanted& wanted_;
  const bool dry_run_;
  std::atomic<uint64_t>& count_;
  std::mutex mutex_;
  std::unordered_map<ChunkId, Object> pages_;  // guarded by mutex_
};

class Repairer {
 public:
  Repairer(Store& store, const std::optional<VolumeName>& name, const RepairOptions& options)
      : store_(store), name_(name), options_(options) {}

  // A page that came back names chunks that nobody knew of before, so it goes level by level.
  Result<RepairReport> run() {
    TRY_ASSIGN(report_.left, verify(VerifyDepth::kContents));
    report_.damaged_count = report_.left.object_count;
    for (uint32_t round = 0; round <= kMaxLevels && !report_.left.is_clean(); round++) {
      const uint64_t before = mended_count();
      TRY(mend());
      if (mended_count() == before || options_.dry_run) break;
      TRY_ASSIGN(report_.left, verify(VerifyDepth::kNames));
    }
    if (!options_.dry_run) {
      TRY(drop_unneeded());
      TRY(note_losses(store_, report_.left, name_.has_value()));
    }
    report_.from_catalog = from_catalog_;
    report_.from_packs = from_packs_;
    report_.from_fallbacks = from_fallbacks_;
    report_.from_image = from_image_;
    return std::move(report_);
  }

 private:
  uint64_t mended_count() const {
    return from_catalog_ + from_packs_ + from_fallbacks_ + from_image_;
  }

  Result<void> progress(const char* phase, uint64_t done_bytes) {
    if (options_.progress(phase, done_bytes)) return {};
    return Error{Fault::kIo, EINTR, "stopped"};
  }

  Result<VerifyReport> verify(VerifyDepth depth) {
    VerifyOptions options;
    options.threads = options_.threads;
    options.depth = depth;
    options.progress = [&](uint64_t done_bytes, uint64_t) {
      return options_.progress("verify", done_bytes);
    };
    return name_ ? verify_volume(store_, *name_, options) : verify_store(store_, options);
  }

  Result<void> mend() {
    TRY_ASSIGN(const WriteSession session, store_.begin_session());
    Wanted wanted(store_.chunks(), options_, report_.left);
    if (wanted.is_empty()) return {};
    TRY(mend_from_catalog(wanted));
    if (!wanted.is_empty()) TRY(mend_from_packs(wanted));
    if (!wanted.is_empty()) TRY(mend_from_fallbacks(wanted));
    if (!wanted.is_empty() && options_.open_image) TRY(mend_from_image(wanted));
    return options_.dry_run ? Result<void>() : store_.chunks().sync();
  }

  Result<void> mend_from_catalog(Wanted& wanted) {
    for (const BadObject& object : report_.left.objects) {
      if (object.kind != ObjectKind::kCheckpoint) continue;
      auto record = store_.catalog().checkpoint(object.id);
      if (!record.ok()) continue;
      TRY(wanted.offer(object.id, ObjectKind::kCheckpoint, encode(record.value()), from_catalog_));
    }
    return {};
  }

  // Any record of any pack, whether or not the location table knows it.
  Result<void> mend_from_packs(Wanted& wanted) {
    Directory& packs = store_.local_chunks().packs();
    TRY_ASSIGN(const auto ids, list_packs(packs));
    std::atomic<uint64_t> done_bytes = 0;
    return parallel_for(ids.size(), options_.threads, [&](size_t i) -> Result<void> {
      auto scan = scan_pack(packs, ids[i], [&](const ScannedRecord& scanned) -> Result<void> {
        TRY(progress("look for copies in packs", done_bytes += scanned.location.record_bytes));
        const RecordHeader& header = scanned.record.header;
        if (!wanted.has(header.id)) return {};
        auto object = decode_object(scanned.record);
        if (!object.ok()) return {};
        return wanted.offer(header.id, header.kind, object.value(), from_packs_);
      });
      if (scan.ok() || scan.error().fault == Fault::kNotFound) return {};
      return std::move(scan.error());
    });
  }

  // A chunk that some volume has over a fallback may be that file's chunk of the same number.
  Result<void> mend_from_fallbacks(Wanted& wanted) {
    TRY_ASSIGN(const CatalogRoots roots, roots_of(store_.catalog()));
    std::unordered_map<std::string, FallbackId> files;
    for (const CatalogRoot& root : roots.roots) {
      if (root.is_table_of) files.emplace(root.name, *root.is_table_of);
      if (root.fallback) files.emplace(root.name, root.fallback->file);
    }
    for (const BadObject& object : report_.left.objects) {
      for (const ObjectUse& use : object.uses) {
        const auto file = files.find(use.volume);
        if (file == files.end() || object.kind != ObjectKind::kChunk) continue;
        TRY(progress("look for copies in fallbacks", mended_count() * kChunkBytes));
        TRY(mend_from_fallback(wanted, object.id, file->second, use.range.offset));
      }
    }
    return {};
  }

  // A file that is not there, or not what it was, has nothing for us.
  Result<void> mend_from_fallback(Wanted& wanted, const ChunkId& id, const FallbackId& file_id,
                                  uint64_t offset) {
    auto fallback = store_.fallback(file_id);
    if (!fallback.ok() || offset >= fallback.value()->size_bytes()) return {};
    auto file = fallback.value()->file();
    if (!file.ok()) return {};
    Bytes chunk(kChunkBytes);
    const auto inside = std::span(chunk).first(
        std::min<uint64_t>(kChunkBytes, fallback.value()->size_bytes() - offset));
    if (!file.value()->read(offset, inside).ok()) return {};
    return wanted.offer(id, ObjectKind::kChunk, chunk, from_fallbacks_);
  }

  Result<void> mend_from_image(Wanted& wanted) {
    TRY_ASSIGN(auto image, options_.open_image());
    ImageFilter filter(store_.chunks(), wanted, options_.dry_run, from_image_);
    TRY(put_image(filter, *image, options_.threads, [&](uint64_t position) {
      return options_.progress("look for copies in the image", position);
    }));
    return {};
  }

  // Nobody can miss what nothing names. Its record stays for garbage collection.
  Result<void> drop_unneeded() {
    if (name_) return {};
    std::vector<LocatedObject> unneeded;
    for (const BadObject& object : report_.left.objects) {
      if (object.use_count == 0 && object.location)
        unneeded.push_back({object.id, *object.location});
    }
    if (unneeded.empty()) return {};
    TRY(store_.local_chunks().locations().remove(unneeded));
    report_.dropped_count = unneeded.size();
    std::erase_if(report_.left.objects,
                  [](const BadObject& object) { return object.use_count == 0; });
    report_.left.object_count -= unneeded.size();
    return {};
  }

  // Fixed after construction.
  Store& store_;
  const std::optional<VolumeName>& name_;
  const RepairOptions& options_;

  std::atomic<uint64_t> from_catalog_ = 0, from_packs_ = 0, from_fallbacks_ = 0, from_image_ = 0;
  RepairReport report_;
};

}  // namespace

Result<RepairReport> repair(Store& store, const std::optional<VolumeName>& name,
                            const RepairOptions& options) {
  return Repairer(store, name, options).run();
}

}  // namespace casdisk
