#include "index/generation_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "index/generation.h"
#include "index/live_map.h"
#include "index/map_journal.h"
#include "index/store_format.h"
#include "index/tree.h"

namespace casdisk {
namespace {

constexpr uint64_t kPieceBytes = 1 << 20;
constexpr int kMaxTries = 3;

class Checker {
 public:
  Checker(Store& store, Directory& directory, UnsealedCheck& found)
      : store_(store), directory_(directory), found_(found) {}

  Result<void> check(const HeadGeneration& generation) {
    found_.generation_count++;
    TRY(check_overlay(generation));
    TRY_ASSIGN(const uint64_t mount_id, directory_.mount_id());
    const uint64_t chunk_count = chunks_for(generation.size_bytes);
    auto map =
        LiveMap::open(directory_, Generation::file_name(generation.number, "map"),
                      generation.number, chunk_count, {store_.file_system().boot_id(), mount_id});
    if (!map.ok()) {
      found_.problems.push_back(describe(map.error()));
      return {};
    }
    if (map.value()) {
      if (!map.value()->poisoned()) return {};
      found_.problems.push_back(fmt::format("{}/{}: a sync failed; see `casdisk accept --help`",
                                            directory_.path(),
                                            Generation::file_name(generation.number, "map")));
      return {};
    }
    // Not of this boot and mount: the journal alone counts.
    const std::string journal = Generation::file_name(generation.number, "journal");
    auto replayed = MapJournal::replay(directory_, journal, generation.number, chunk_count, {});
    if (!replayed.ok()) {
      found_.problems.push_back(describe(replayed.error()) +
                                "; what was written and not sealed cannot be told from it");
    }
    return {};
  }

 private:
  Result<void> check_overlay(const HeadGeneration& generation) {
    auto opened =
        directory_.open(Generation::file_name(generation.number, "overlay"), OpenMode::kRead);
    if (!opened.ok()) {
      found_.problems.push_back(describe(opened.error()));
      return {};
    }
    const File& overlay = *opened.value();
    TRY_ASSIGN(const uint64_t size_bytes, overlay.size());
    const uint64_t wanted_bytes = Generation::overlay_bytes(generation.size_bytes);
    if (size_bytes != wanted_bytes) {
      found_.problems.push_back(fmt::format("{} has {} bytes and should have {}", overlay.path(),
                                            size_bytes, wanted_bytes));
    }
    Bytes piece(kPieceBytes);
    for (uint64_t offset = 0; offset < size_bytes;) {
      TRY_ASSIGN(const DataRange data, overlay.next_data(offset));
      if (data.length == 0) return {};
      const uint64_t length = std::min<uint64_t>(data.length, piece.size());
      if (auto read = overlay.read(data.offset, std::span(piece).first(length)); !read.ok()) {
        found_.problems.push_back(
            fmt::format("{} bytes at {}: {}", length, data.offset, describe(read.error())));
      }
      found_.checked_bytes += length;
      offset = data.offset + length;
    }
    return {};
  }

  Store& store_;
  Directory& directory_;
  UnsealedCheck& found_;
};

Result<UnsealedCheck> check_once(Store& store, const HeadRecord& head) {
  UnsealedCheck found;
  if (head.poisoned) {
    found.problems.push_back("a sync of its files failed; see `casdisk accept --help`");
  }
  if (head.generations.empty()) return found;
  TRY_ASSIGN(auto directory, store.disk_directory(head.uid, false));
  if (!directory) {
    found.problems.push_back(
        fmt::format("its directory {}/disks/{} is missing", store.path(), uid_name(head.uid)));
    return found;
  }
  Checker checker(store, *directory, found);
  for (const HeadGeneration& generation : head.generations) TRY(checker.check(generation));
  return found;
}

}  // namespace

// Whatever looks wrong may be somebody's work that began meanwhile: then it is looked at again.
Result<UnsealedCheck> check_unsealed(Store& store, const std::string& disk) {
  for (int tries = 1;; tries++) {
    TRY_ASSIGN(const HeadRecord before, store.catalog().head(disk));
    TRY_ASSIGN(auto holder, store.lease_holder(before.uid));
    if (holder) return UnsealedCheck{.holder = std::move(holder)};
    auto found = check_once(store, before);
    if (found.ok() && found.value().problems.empty()) return found;
    TRY_ASSIGN(const HeadRecord after, store.catalog().head(disk));
    TRY_ASSIGN(holder, store.lease_holder(after.uid));
    if (holder) return UnsealedCheck{.holder = std::move(holder)};
    if (after.version == before.version || tries == kMaxTries) return found;
  }
}

}  // namespace casdisk
