#include "cas/pack_check.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>

#include "cas/os/parallel.h"
#include "cas/pack_scan.h"

namespace casdisk {

namespace {

bool lies_before(const LocatedObject& a, const LocatedObject& b) {
  return std::pair(a.location.pack, a.location.offset) <
         std::pair(b.location.pack, b.location.offset);
}

class Checker {
 public:
  Checker(LocalStore& store, const PackCheckOptions& options) : store_(store), options_(options) {}

  Result<PackCheck> run() {
    TRY(plan());
    for (auto next = packs_.begin(); next != packs_.end();) {
      auto first = next;
      uint64_t entry_count = 0;
      for (; next != packs_.end(); ++next) {
        if (next != first && entry_count + next->second > options_.entries_per_batch) break;
        entry_count += next->second;
      }
      TRY(check_batch(first, next));
    }
    return std::move(found_);
  }

 private:
  using Packs = std::map<uint64_t, uint64_t>;  // pack, number of entries

  // The packs that there are, or that the table names.
  Result<void> plan() {
    TRY_ASSIGN(const auto ids, list_packs(store_.packs()));
    for (const uint64_t pack : ids) {
      packs_[pack] = 0;
      auto file = store_.packs().open(pack_file_name(pack), OpenMode::kRead);
      if (!file.ok()) continue;  // the check will tell
      TRY_ASSIGN(const uint64_t size_bytes, file.value()->size());
      total_bytes_ += size_bytes;
    }
    return store_.locations().for_each(
        [&](const ChunkId&, const LocationTable::Entry& entry) -> Result<void> {
          packs_[entry.location.pack]++;
          return {};
        });
  }

  Result<void> check_batch(Packs::iterator first, Packs::iterator end) {
    const uint64_t first_pack = first->first, last_pack = std::prev(end)->first;
    std::vector<LocatedObject> entries;
    TRY(store_.locations().for_each(
        [&](const ChunkId& id, const LocationTable::Entry& entry) -> Result<void> {
          const uint64_t pack = entry.location.pack;
          if (pack >= first_pack && pack <= last_pack) entries.push_back({id, entry.location});
          return {};
        }));
    std::ranges::sort(entries, lies_before);
    std::vector<std::pair<uint64_t, std::span<const LocatedObject>>> work;
    for (auto pack = first; pack != end; ++pack) {
      const auto from = std::ranges::lower_bound(
          entries, pack->first, {}, [](const LocatedObject& entry) { return entry.location.pack; });
      auto to = from;
      while (to != entries.end() && to->location.pack == pack->first) ++to;
      work.emplace_back(pack->first, std::span(from, to));
      found_.packs.insert(pack->first);
    }
    return parallel_for(work.size(), options_.threads,
                        [&](size_t i) { return check_pack(work[i].first, work[i].second); });
  }

  Result<void> check_pack(uint64_t pack, std::span<const LocatedObject> entries) {
    size_t next = 0;
    uint64_t unnamed_count = 0;
    auto scan = scan_pack(store_.packs(), pack, [&](const ScannedRecord& scanned) -> Result<void> {
      for (; next < entries.size() && entries[next].location.offset < scanned.location.offset;
           next++) {
        suspect(entries[next]);
      }
      auto object = decode_object(scanned.record);
      bool is_named = false;
      for (; next < entries.size() && entries[next].location.offset == scanned.location.offset;
           next++) {
        const bool names_it = entries[next].id == scanned.record.header.id &&
                              entries[next].location == scanned.location;
        is_named |= names_it;
        if (!names_it || !object.ok()) suspect(entries[next]);
      }
      if (!is_named) unnamed_count++;
      if (!is_named && !object.ok()) unnamed(scanned.location, object.error().context);
      return advance(scanned.location.record_bytes);
    });
    for (; next < entries.size(); next++) suspect(entries[next]);
    if (!scan.ok() && scan.error().fault == Fault::kNotFound) return {};  // all are suspects
    if (!scan.ok()) return std::move(scan.error());
    if (!scan.value().header.ok()) {
      unnamed({pack, 0, kPackHeaderBytes}, scan.value().header.error().context);
    }
    for (const PackGap& gap : scan.value().gaps) {
      unnamed({pack, gap.offset, uint32_t(std::min<uint64_t>(gap.length, UINT32_MAX))},
              "no record, and records behind it");
    }
    std::lock_guard lock(mutex_);
    found_.record_count += scan.value().record_count;
    found_.unnamed_record_count += unnamed_count;
    found_.checked_bytes += scan.value().scanned_bytes;
    return {};
  }

  Result<void> advance(uint64_t bytes) {
    const uint64_t done_bytes = done_bytes_ += bytes;
    if (options_.progress(done_bytes, std::max(total_bytes_, done_bytes))) return {};
    return Error{Fault::kIo, EINTR, "stopped"};
  }

  void suspect(const LocatedObject& entry) {
    std::lock_guard lock(mutex_);
    found_.suspect_count++;
    if (found_.suspects.size() < kMaxSuspects) found_.suspects.push_back(entry);
  }

  void unnamed(const PackLocation& location, std::string what) {
    std::lock_guard lock(mutex_);
    found_.unnamed_count++;
    if (found_.unnamed.size() < kMaxUnnamed) found_.unnamed.push_back({location, std::move(what)});
  }

  // Fixed after plan().
  LocalStore& store_;
  const PackCheckOptions& options_;
  Packs packs_;
  uint64_t total_bytes_ = 0;

  std::atomic<uint64_t> done_bytes_ = 0;
  std::mutex mutex_;
  PackCheck found_;  // guarded by mutex_ while threads are at work
};

}  // namespace

Result<PackCheck> check_packs(LocalStore& store, const PackCheckOptions& options) {
  return Checker(store, options).run();
}

}  // namespace casdisk
