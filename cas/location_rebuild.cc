#include "cas/location_rebuild.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>

#include "cas/os/parallel.h"
#include "cas/pack_scan.h"

namespace casdisk {

namespace {

constexpr size_t kEntriesPerTransaction = 16384;
constexpr size_t kMaxDamaged = size_t(1) << 20;

class Rebuilder {
 public:
  Rebuilder(Directory& packs, LocationTable* table, const LocationRebuildOptions& options)
      : packs_(packs), table_(table), options_(options) {}

  Result<LocationRebuild> run() {
    TRY_ASSIGN(const auto ids, list_packs(packs_));
    if (table_ != nullptr) {
      TRY(packs_.sync());
      TRY(adopt(ids));
    }
    TRY(parallel_for(ids.size(), options_.threads, [&](size_t i) { return scan(ids[i]); }));
    if (table_ != nullptr) TRY(enter_damaged());
    found_.pack_count = ids.size();
    return found_;
  }

 private:
  // The store id that most packs have: one pack of another store does not change it.
  Result<void> adopt(std::span<const uint64_t> ids) {
    std::map<StoreId, uint64_t> votes;
    for (const uint64_t pack : ids) {
      auto file = packs_.open(pack_file_name(pack), OpenMode::kRead);
      if (!file.ok()) continue;
      Bytes bytes(kPackHeaderBytes);
      if (!file.value()->read(0, bytes).ok()) continue;
      const auto header = decode_pack_header(bytes);
      if (header.ok()) votes[header.value().store]++;
    }
    const auto most =
        std::ranges::max_element(votes, {}, [](const auto& vote) { return vote.second; });
    return table_->adopt(most == votes.end() ? table_->store_id() : most->first, ids);
  }

  Result<void> scan(uint64_t pack) {
    if (table_ != nullptr) TRY(sync_pack(pack));
    std::vector<LocatedObject> whole;
    auto scan = scan_pack(packs_, pack, [&](const ScannedRecord& scanned) -> Result<void> {
      if (!options_.progress(done_bytes_ += scanned.location.record_bytes)) {
        return Error{Fault::kIo, EINTR, "stopped"};
      }
      const RecordHeader& header = scanned.record.header;
      if (table_ == nullptr && header.kind != ObjectKind::kCheckpoint) return {};
      const auto object = decode_object(scanned.record);
      if (!object.ok()) return note_damaged({header.id, scanned.location});
      if (header.kind == ObjectKind::kCheckpoint) options_.checkpoint(header.id, object.value());
      record_count_++;
      whole.push_back({header.id, scanned.location});
      return whole.size() < kEntriesPerTransaction ? Result<void>() : enter(whole);
    });
    if (!scan.ok()) return std::move(scan.error());
    return enter(whole);
  }

  // Its end may be what a writer that died left in memory alone.
  Result<void> sync_pack(uint64_t pack) {
    TRY_ASSIGN(auto file, packs_.open(pack_file_name(pack), OpenMode::kWrite));
    return file->sync();
  }

  Result<void> enter(std::vector<LocatedObject>& entries) {
    if (table_ != nullptr) TRY(enter(std::span<const LocatedObject>(entries)));
    entries.clear();
    return {};
  }

  Result<void> enter(std::span<const LocatedObject> objects) {
    TRY_ASSIGN(const auto refused, table_->enter(objects));
    CHECK(refused.empty());  // all packs were adopted
    return {};
  }

  Result<void> note_damaged(const LocatedObject& object) {
    std::lock_guard lock(mutex_);
    found_.damaged_count++;
    if (damaged_.size() < kMaxDamaged) damaged_.push_back(object);
    return {};
  }

  // Where there is no better copy, so that whoever reads it is told where it lay.
  Result<void> enter_damaged() {
    found_.record_count = record_count_;
    for (const LocatedObject& object : damaged_) {
      TRY_ASSIGN(const auto known, table_->lookup(object.id));
      if (known) continue;
      TRY(enter(std::span(&object, 1)));
      table_->flag_damaged(object.id, object.location);
    }
    return {};
  }

  // Fixed after construction.
  Directory& packs_;
  LocationTable* const table_;
  const LocationRebuildOptions& options_;

  std::atomic<uint64_t> done_bytes_ = 0, record_count_ = 0;
  std::mutex mutex_;
  // Guarded by mutex_ while threads are at work.
  LocationRebuild found_;
  std::vector<LocatedObject> damaged_;
};

}  // namespace

Result<LocationRebuild> rebuild_locations(Directory& packs, LocationTable* table,
                                          const LocationRebuildOptions& options) {
  return Rebuilder(packs, table, options).run();
}

}  // namespace casdisk
