#include "cas/pack_collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <set>

namespace casdisk {
namespace {

// Objects of which a round keeps the locations in memory: about 80 MiB. Each round reads the whole
// table; with chunks of 64 KiB one is for 64 GiB of packs.
constexpr uint64_t kMaxItemsPerRound = uint64_t(1) << 20;
// Copied between two syncs. What must be free before anything is.
constexpr uint64_t kMaxCopyBytes = uint64_t(64) << 20;
constexpr size_t kMaxPacksPerGroup = 256;
constexpr size_t kLocationsPerCommit = 8192;  // some milliseconds that other commits wait
constexpr std::chrono::seconds kNoteAfter{2};

template <typename T, typename Body>
Result<void> in_slices(const std::vector<T>& all, Body body) {
  for (size_t first = 0; first < all.size(); first += kLocationsPerCommit) {
    TRY(body(std::span(all).subspan(first, std::min(kLocationsPerCommit, all.size() - first))));
  }
  return {};
}

std::string joined(const std::vector<int64_t>& pids) {
  std::set<int64_t> each(pids.begin(), pids.end());
  return each.empty() ? "a process that /proc/locks does not show"
                      : fmt::format("pid {}", fmt::join(each, ", pid "));
}

}  // namespace

bool PackCollector::is_worth_it(const PackUse& use) const {
  if (use.live_count == 0) return true;
  return use.garbage_bytes() * 100 >= use.file_bytes * options_.min_garbage_percent &&
         use.garbage_bytes() > 0;
}

std::vector<uint64_t> PackCollector::choose(const PackUses& uses) const {
  std::vector<uint64_t> packs;
  for (const auto& [pack, use] : uses) {
    if (use.is_condemned || (use.has_record && is_worth_it(use))) packs.push_back(pack);
  }
  auto share = [&](uint64_t pack) {
    const PackUse& use = uses.at(pack);
    return use.live_count == 0 ? 2.0 : double(use.garbage_bytes()) / double(use.file_bytes + 1);
  };
  std::ranges::stable_sort(packs, [&](uint64_t a, uint64_t b) { return share(a) > share(b); });
  return packs;
}

Result<uint64_t> PackCollector::tidy(const PackUses& uses) {
  uint64_t freed_bytes = 0;
  std::vector<uint64_t> unknown, unrecorded;
  for (const auto& [pack, use] : uses) {
    if (use.has_record) continue;
    if (use.live_count + use.dead_count > 0) {
      unrecorded.push_back(pack);
    } else {
      unknown.push_back(pack);
      freed_bytes += use.file_bytes;
    }
  }
  TRY(store_.locations().adopt_packs(unrecorded));
  TRY(delete_files(unknown));
  return freed_bytes;
}

Result<void> PackCollector::condemn_and_wait(const std::vector<uint64_t>& packs) {
  TRY_ASSIGN(const auto generations, store_.locations().condemn(packs));
  auto next_note = std::chrono::steady_clock::now() + kNoteAfter;
  return store_.sessions().wait_for_older(
      generations, [&](const std::vector<int64_t>& pids) -> Result<void> {
        TRY(check_stop());
        if (std::chrono::steady_clock::now() >= next_note) {
          options_.note("waiting for what is being written: " + joined(pids));
          next_note += std::chrono::seconds(60);
        }
        return {};
      });
}

Result<void> PackCollector::check_stop() const {
  if (!options_.stop()) return {};
  return Error{Fault::kIo, EINTR, "stopped; the next collection goes on"};
}

Result<CollectorOutcome> PackCollector::collect(const std::vector<uint64_t>& packs,
                                                const LiveSet& live) {
  TRY_ASSIGN(const PackUses uses, use_of_packs(store_, live));
  std::vector<uint64_t> pardoned, worth;
  for (uint64_t pack : packs) {
    auto use = uses.find(pack);
    if (use == uses.end() || !use->second.is_condemned) continue;
    (is_worth_it(use->second) ? worth : pardoned).push_back(pack);
  }
  TRY(store_.locations().pardon(pardoned));
  CollectorOutcome outcome;
  for (size_t first = 0; first < worth.size();) {
    uint64_t item_count = 0;
    size_t end = first;
    while (end < worth.size()) {
      const PackUse& use = uses.at(worth[end]);
      item_count += use.live_count + use.dead_count;
      if (end > first && item_count > kMaxItemsPerRound) break;
      end++;
    }
    auto collected =
        collect_round(std::span(worth).subspan(first, end - first), uses, live, outcome);
    if (!collected.ok() && collected.error().fault == Fault::kNoSpace) {
      // Those that are gone have nothing to be pardoned.
      TRY(store_.locations().pardon(std::span(worth).subspan(first)));
      outcome.no_room = std::move(collected.error());
      return outcome;
    }
    TRY(std::move(collected));
    first = end;
  }
  return outcome;
}

Result<PackCollector::Items> PackCollector::items_of(std::span<const uint64_t> packs,
                                                     const LiveSet& live) {
  Items items;
  for (uint64_t pack : packs) items[pack];
  TRY(store_.locations().for_each(
      [&](const ChunkId& id, const LocationTable::Entry& entry) -> Result<void> {
        auto found = items.find(entry.location.pack);
        if (found == items.end()) return {};
        found->second.push_back({{id, entry.location}, live.contains(id)});
        return {};
      }));
  for (auto& [pack, list] : items) {
    std::ranges::sort(list, {}, [](const Item& item) { return item.object.location.offset; });
  }
  return items;
}

// Groups of packs, as many as one sync is worth.
Result<void> PackCollector::collect_round(std::span<const uint64_t> packs, const PackUses& uses,
                                          const LiveSet& live, CollectorOutcome& outcome) {
  TRY_ASSIGN(const Items items, items_of(packs, live));
  for (size_t first = 0; first < packs.size();) {
    uint64_t copy_bytes = 0;
    size_t end = first;
    while (end < packs.size() && end - first < kMaxPacksPerGroup) {
      copy_bytes += uses.at(packs[end]).live_bytes;
      if (end > first && copy_bytes > kMaxCopyBytes) break;
      end++;
    }
    TRY_ASSIGN(const size_t count,
               collect_group(packs.subspan(first, end - first), items, uses, outcome));
    first += count;
  }
  return {};
}

// Gives what could not be read, if there is something. An error is of anything else: of the copies,
// say, whatever their device says.
Result<std::optional<Error>> PackCollector::copy(std::span<const Item> items, PackWriter& writer,
                                                 std::vector<LocationTable::Move>& moves) {
  for (const Item& item : items) {
    if (!item.is_live) continue;
    TRY(check_stop());
    auto record = store_.reader().read_record(item.object);
    if (!record.ok()) {
      if (!means_damage(record.error())) return std::move(record.error());
      return std::optional(std::move(record.error()));
    }
    TRY_ASSIGN(const PackLocation to, writer.append(record.value()));
    moves.push_back({item.object.id, item.object.location, to});
  }
  return std::optional<Error>();
}

// Gives how many of the packs it has dealt with: fewer when there was no room for more copies, some
// of which there may be afterwards. A pack with a record that lives and cannot be read stays, and
// is used again: whoever has another copy of it may put that.
Result<size_t> PackCollector::collect_group(std::span<const uint64_t> packs, const Items& items,
                                            const PackUses& uses, CollectorOutcome& outcome) {
  TRY(check_stop());
  PackWriter writer(store_.packs(), store_.locations(), kMaxPackBytes);
  std::vector<LocationTable::Move> moves;
  std::vector<uint64_t> done;
  size_t count = 0;
  for (; count < packs.size(); count++) {
    const uint64_t pack = packs[count];
    const size_t move_count = moves.size();
    auto copied = copy(items.at(pack), writer, moves);
    if (copied.ok() && !copied.value()) {
      done.push_back(pack);
      continue;
    }
    moves.resize(move_count);
    if (!copied.ok()) {
      if (copied.error().fault == Fault::kNoSpace && count > 0) break;
      return std::move(copied.error());
    }
    outcome.failures.push_back(std::move(*copied.value()));
    TRY(store_.locations().pardon(std::span(&pack, 1)));
  }
  if (!moves.empty()) TRY(writer.sync());
  std::ranges::sort(moves, {}, &LocationTable::Move::id);
  TRY(in_slices(moves, [&](auto slice) { return store_.locations().move(slice); }));
  TRY(forget(done, items));
  TRY(delete_files(done));
  for (const LocationTable::Move& moved : moves) outcome.moved_bytes += moved.to.record_bytes;
  outcome.moved_count += moves.size();
  outcome.pack_count += done.size();
  for (uint64_t pack : done) outcome.freed_bytes += uses.at(pack).file_bytes;
  options_.progress(outcome.freed_bytes);
  return count;
}

Result<void> PackCollector::forget(std::span<const uint64_t> packs, const Items& items) {
  std::vector<LocatedObject> dead;
  for (uint64_t pack : packs) {
    for (const Item& item : items.at(pack)) {
      if (!item.is_live) dead.push_back(item.object);
    }
  }
  std::ranges::sort(dead, {}, &LocatedObject::id);
  TRY(in_slices(dead, [&](auto slice) { return store_.locations().remove(slice); }));
  return store_.locations().remove_packs(packs);
}

// Cut off first: whoever still has the file open would keep its space.
Result<void> PackCollector::delete_files(std::span<const uint64_t> packs) {
  if (packs.empty()) return {};
  for (uint64_t pack : packs) {
    store_.reader().close(pack);
    const std::string name = pack_file_name(pack);
    if (auto file = store_.packs().open(name, OpenMode::kWrite); file.ok()) {
      (void)file.value()->resize(0).ok();
    }
    auto removed = store_.packs().remove(name);
    if (!removed.ok() && removed.error().fault != Fault::kNotFound) return removed;
  }
  return store_.packs().sync();
}

}  // namespace casdisk
