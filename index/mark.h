// Marker: finds all objects that roots reach.
//
// Reads index pages only, each once however many trees share it and however often it is asked:
// what was marked stays marked. Pages are told apart by their whole ids, all objects by a LiveSet.
// Used by one thread.
#pragma once

#include <functional>
#include <unordered_set>
#include <vector>

#include "cas/live_set.h"
#include "index/gc_roots.h"

namespace casdisk {

class Marker {
 public:
  // Takes 11 to 22 bytes an object, and 64 a page: kInvalid when that is more than half of the
  // memory that is available. `stop` is asked now and then, and ends it with EINTR.
  static Result<Marker> make(Store& store, std::function<bool()> stop);

  // kDamaged when a page cannot be read: it names the page and who needs it. What was marked by
  // then is not enough to collect anything.
  Result<void> mark(const GcRoots& roots);

  const LiveSet& live() const { return live_; }

 private:
  Marker(Store& store, std::function<bool()> stop, LiveSet live)
      : store_(&store), stop_(std::move(stop)), live_(std::move(live)) {}
  Result<void> mark_tree(const Tree& tree);
  Result<void> mark_pages(std::vector<ChunkId> pages, uint32_t level);

  Store* store_;
  std::function<bool()> stop_;
  LiveSet live_;
  std::unordered_set<ChunkId> pages_;
};

}  // namespace casdisk
