// PendingObjects: the objects of a LocalStore that its location table does not know yet.
//
// An object is claimed by the thread that is about to append it, pending once it is in a pack, and
// forgotten here once the table has it. When a sync fails, what was pending is lost: it must be
// stored anew before any sync may succeed, since somebody was told that one would keep it.
// Safe to call from any thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cas/pack_format.h"

namespace casdisk {

class PendingObjects {
 public:
  enum class Claim {
    kPending,  // it is pending already: nothing to do
    kMine,     // the caller stores it and then calls appended(), settled() or given_up()
  };
  // Waits while another thread holds the claim.
  Claim claim(const ChunkId& id);

  // The claim's end: the object is pending at `location`; the table has it; it was not stored.
  void appended(const ChunkId& id, const PackLocation& location);
  void settled(const ChunkId& id);
  void given_up(const ChunkId& id);

  struct Found {
    PackLocation location;
    bool lost = false;
  };
  // Where a pending or a lost object lies.
  std::optional<Found> find(const ChunkId& id) const;
  std::vector<LocatedObject> pending() const;
  // Where the copies of lost objects lie that could not be relied on.
  std::vector<LocatedObject> lost() const;
  // Pending and lost ones.
  size_t count() const;

  // The table has these now.
  void registered(std::span<const LocatedObject> objects);
  // A sync failed: all that is pending is lost.
  void lose_all();
  // What is pending in these packs is lost.
  void lose_in(std::span<const uint64_t> packs);
  // Nobody relies on any of it, or on what is lost, any more. REQUIRES: nothing is claimed.
  void clear();
  void forget_lost();
  // Waits until what is claimed now is claimed no longer.
  void wait_for_claims();
  // The pending copy at `location` turned out to be unreadable.
  void lose(const ChunkId& id, const PackLocation& location);

 private:
  void end_claim(const ChunkId& id);

  mutable std::mutex mutex_;
  std::condition_variable claim_ended_;
  // Guarded by mutex_.
  std::unordered_set<ChunkId> claimed_;
  std::unordered_map<ChunkId, PackLocation> pending_;
  std::unordered_map<ChunkId, PackLocation> lost_;
};

}  // namespace casdisk
