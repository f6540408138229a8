// PackCollector: takes packs out of use, moves what lives out of them and deletes them.
//
//   choose ─ condemn ─ wait for sessions ─ (the caller marks again) ─ pardon ─ collect
//
// What lives is for the caller to say (index/mark.h). One collector of a store at a time; writers
// and readers go on beside it, in any process. It may die anywhere: packs that it condemned stay
// condemned until the next one, records that it copied and did not enter are garbage. Order, for a
// few packs at a time: copies, sync, their locations, the locations of the dead, the packs'
// records, the files. docs/decisions/0011-garbage-collection.md argues why nothing that lives is
// lost. Used by one thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cas/live_set.h"
#include "cas/local_store.h"
#include "cas/pack_use.h"

namespace casdisk {

struct CollectorOptions {
  // A pack is worth collecting when this share of its file is garbage; one without anything that
  // lives always is.
  unsigned min_garbage_percent = 20;
  std::function<bool()> stop = [] { return false; };  // asked often; then EINTR
  std::function<void(const std::string&)> note = [](const std::string&) {};
  std::function<void(uint64_t bytes)> progress = [](uint64_t) {};  // of packs, done so far
};

struct CollectorOutcome {
  uint64_t pack_count = 0;   // deleted
  uint64_t freed_bytes = 0;  // of their files
  uint64_t moved_count = 0;  // objects
  uint64_t moved_bytes = 0;
  std::vector<Error> failures;   // packs that stay because of what is in them, one each
  std::optional<Error> no_room;  // for copies: the rest stays
};

class PackCollector {
 public:
  // The store outlives it.
  PackCollector(LocalStore& store, const CollectorOptions& options)
      : store_(store), options_(options) {}

  // Those worth collecting, and those that are condemned already: first what costs nothing to
  // collect, then by the share of garbage.
  std::vector<uint64_t> choose(const PackUses& uses) const;

  // Deletes pack files that the table knows nothing of, and takes in packs that only objects name.
  // Gives how much that freed.
  Result<uint64_t> tidy(const PackUses& uses);

  // From its return on nothing of these packs is found by whoever wants to keep it, and every
  // session of before has ended. `note` tells whom it waits for.
  Result<void> condemn_and_wait(const std::vector<uint64_t>& packs);

  // REQUIRES: all of `packs` are condemned, no older session is left, and `live` has whatever has
  // been published since or is in use. Those that are not worth it (any more) are pardoned, and so
  // are those for whose copies there is no room.
  Result<CollectorOutcome> collect(const std::vector<uint64_t>& packs, const LiveSet& live);

 private:
  struct Item {
    LocatedObject object;
    bool is_live = false;
  };
  using Items = std::map<uint64_t, std::vector<Item>>;  // by pack

  bool is_worth_it(const PackUse& use) const;
  Result<void> check_stop() const;
  Result<Items> items_of(std::span<const uint64_t> packs, const LiveSet& live);
  Result<void> collect_round(std::span<const uint64_t> packs, const PackUses& uses,
                             const LiveSet& live, CollectorOutcome& outcome);
  Result<std::optional<Error>> copy(std::span<const Item> items, PackWriter& writer,
                                    std::vector<LocationTable::Move>& moves);
  Result<size_t> collect_group(std::span<const uint64_t> packs, const Items& items,
                               const PackUses& uses, CollectorOutcome& outcome);
  Result<void> forget(std::span<const uint64_t> packs, const Items& items);
  Result<void> delete_files(std::span<const uint64_t> packs);

  // Fixed after construction.
  LocalStore& store_;
  const CollectorOptions options_;
};

}  // namespace casdisk
