#include "index/garbage_collection.h"

#include <algorithm>
#include <optional>

#include "index/catalog_sweep.h"
#include "index/mark.h"

namespace casdisk {
namespace {

CollectorOptions collector_options(const GcOptions& options) {
  CollectorOptions collector;
  collector.min_garbage_percent = options.min_garbage_percent;
  collector.stop = options.stop;
  collector.note = options.note;
  collector.progress = options.progress;
  return collector;
}

Result<void> mark_now(Store& store, Marker& marker) {
  TRY_ASSIGN(const GcRoots roots, gc_roots(store));
  return marker.mark(roots);
}

void count_uses(const PackUses& uses, const std::vector<uint64_t>& chosen, GcReport& report) {
  for (const auto& [pack, use] : uses) {
    report.pack_count += use.has_file ? 1 : 0;
    report.stored_bytes += use.file_bytes;
    report.live_count += use.live_count;
    report.object_count += use.live_count + use.dead_count;
    const bool is_left_over = !use.has_record && use.live_count + use.dead_count == 0;
    report.garbage_bytes += use.garbage_bytes();
    if (is_left_over) report.collectable_bytes += use.file_bytes;
  }
  report.chosen_count = chosen.size();
  for (uint64_t pack : chosen) report.collectable_bytes += uses.at(pack).garbage_bytes();
}

}  // namespace

Result<GcReport> look_for_garbage(Store& store, const GcOptions& options) {
  std::optional<Marker> marker;
  TRY(look_beside_collection([&]() -> Result<void> {
    TRY_ASSIGN(marker, Marker::make(store, options.stop));
    return mark_now(store, *marker);
  }));
  TRY_ASSIGN(const PackUses uses, use_of_packs(store.local_chunks(), marker->live()));
  GcReport report;
  const PackCollector collector(store.local_chunks(), collector_options(options));
  count_uses(uses, collector.choose(uses), report);
  return report;
}

// The first marking says which packs are worth it, and finds damage before anything is changed. The
// second has what was published by then; what it lacks is in no condemned pack.
Result<GcReport> collect_garbage(Store& store, const GcOptions& options) {
  TRY_ASSIGN(const FileLock alone, store.gc_lock());
  TRY_ASSIGN(Marker marker, Marker::make(store, options.stop));
  TRY(mark_now(store, marker));
  GcReport report;
  TRY_ASSIGN(report.removed_record_count, sweep_catalog(store));
  TRY(store.remove_orphans());
  PackCollector collector(store.local_chunks(), collector_options(options));
  std::vector<uint64_t> chosen;
  {
    TRY_ASSIGN(const PackUses uses, use_of_packs(store.local_chunks(), marker.live()));
    chosen = collector.choose(uses);
    count_uses(uses, chosen, report);
    TRY_ASSIGN(report.done.freed_bytes, collector.tidy(uses));
  }
  if (chosen.empty()) return report;
  TRY(collector.condemn_and_wait(chosen));
  TRY(mark_now(store, marker));
  const uint64_t tidied_bytes = report.done.freed_bytes;
  TRY_ASSIGN(report.done, collector.collect(chosen, marker.live()));
  report.done.freed_bytes += tidied_bytes;
  return report;
}

}  // namespace casdisk
