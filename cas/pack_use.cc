#include "cas/pack_use.h"

#include <fmt/format.h>

namespace casdisk {
namespace {

Result<void> add_files(LocalStore& store, PackUses& uses) {
  TRY_ASSIGN(auto names, store.packs().list());
  for (const std::string& name : names) {
    auto pack = pack_from_file_name(name);
    if (!pack) continue;
    auto file = store.packs().open(name, OpenMode::kRead);
    if (!file.ok() && file.error().fault == Fault::kNotFound) continue;  // its writer took it back
    if (!file.ok()) return std::move(file.error());
    PackUse& use = uses[*pack];
    TRY_ASSIGN(use.file_bytes, file.value()->size());
    use.has_file = true;
  }
  TRY_ASSIGN(const uint64_t last, store.locations().last_pack());
  if (uses.empty() || uses.rbegin()->first <= last) return {};
  return Error{Fault::kDamaged, 0,
               fmt::format("{}/{} is no pack of this store's location table, which has given out "
                           "{}: if the table was lost, nothing may be collected before `casdisk "
                           "repair` has rebuilt it",
                           store.packs().path(), pack_file_name(uses.rbegin()->first), last)};
}

}  // namespace

// Files first: a pack that is begun meanwhile has a record by then, or is not seen at all.
Result<PackUses> use_of_packs(LocalStore& store, const LiveSet& live) {
  PackUses uses;
  TRY(store.locations().catch_up());
  TRY(add_files(store, uses));
  TRY_ASSIGN(auto records, store.locations().packs());
  for (const auto& record : records) {
    uses[record.pack].has_record = true;
    uses[record.pack].is_condemned = record.condemned;
  }
  TRY(store.locations().for_each([&](const ChunkId& id, const LocationTable::Entry& entry) {
    PackUse& use = uses[entry.location.pack];
    const bool is_live = live.contains(id);
    (is_live ? use.live_count : use.dead_count)++;
    (is_live ? use.live_bytes : use.dead_bytes) += entry.location.record_bytes;
    return Result<void>();
  }));
  return uses;
}

}  // namespace casdisk
