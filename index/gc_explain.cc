#include "index/gc_explain.h"

#include <fmt/format.h>

#include <cerrno>
#include <unordered_map>

#include "cas/os/memory.h"

namespace casdisk {
namespace {

constexpr uint64_t kBytesPerObject = 60;  // of the two tables below

constexpr uint32_t kNobody = UINT32_MAX;
constexpr uint32_t kSeveral = UINT32_MAX - 1;

// Roots come one after the other. Whatever the first of them reaches is its own until another one
// reaches it too. A page that another root reaches is gone through once more, all below it being
// shared from then on; a third root takes its total without looking. What is open without a name
// comes last and counts for what nobody else needs.
class Explainer {
 public:
  Explainer(Store& store, const std::function<bool()>& stop) : store_(store), stop_(stop) {}

  Result<Explanation> run(const GcRoots& roots) {
    for (const GcRoot& root : roots.roots) {
      Explanation& all = explanation_;
      all.pinned.push_back({root.kind, root.name, {}, {}});
      owner_ = uint32_t(all.pinned.size() - 1);
      takes_rest_ = root.kind == RootKind::kView;
      ObjectBytes reached;
      if (auto gone = reach_root(root, reached); !gone.ok()) {
        gone.error().context = fmt::format("{}: {}", root.name, gone.error().context);
        return missing_is_damage(std::move(gone.error()));
      }
      reached_.push_back(reached);
    }
    for (const ChunkId& link : roots.links) {
      TRY_ASSIGN(const ObjectBytes bytes, bytes_of(link, 0));
      explanation_.links += bytes;
    }
    for (size_t i = 0; i < reached_.size(); i++) {
      explanation_.pinned[i].shared = reached_[i];
      explanation_.pinned[i].shared -= explanation_.pinned[i].alone;
    }
    return std::move(explanation_);
  }

 private:
  struct Place {
    uint32_t owner = kNobody;
    ObjectBytes bytes;
  };
  struct PagePlace {
    Place place;
    ObjectBytes below;  // once it is shared: of itself and all that it reaches
  };

  Result<void> reach_root(const GcRoot& root, ObjectBytes& reached) {
    if (root.record) TRY(object(*root.record, 0, reached));
    for (const Tree& tree : root.trees) {
      if (tree.root.state != EntryState::kId) continue;
      TRY(page(tree.root.id, levels_for(tree.chunk_count) - 1, reached));
    }
    return {};
  }

  // True: this root had not reached it.
  bool reach(Place& place) {
    if (place.owner == owner_ || (takes_rest_ && place.owner != kNobody)) return false;
    if (place.owner == kNobody) {
      place.owner = owner_;
      explanation_.pinned[owner_].alone += place.bytes;
    } else if (place.owner != kSeveral) {
      explanation_.pinned[place.owner].alone -= place.bytes;
      explanation_.shared += place.bytes;
      place.owner = kSeveral;
    }
    return true;
  }

  Result<ObjectBytes> bytes_of(const ChunkId& id, uint64_t plain_bytes) {
    TRY_ASSIGN(auto entry, store_.local_chunks().locations().lookup(id));
    return ObjectBytes{entry ? entry->location.record_bytes : 0, plain_bytes};
  }

  Result<void> object(const ChunkId& id, uint64_t plain_bytes, ObjectBytes& reached) {
    Place& place = objects_[id];
    if (place.owner == kNobody) {
      TRY_ASSIGN(place.bytes, bytes_of(id, plain_bytes));
    }
    if (reach(place)) reached += place.bytes;
    return {};
  }

  Result<void> page(const ChunkId& id, uint32_t level, ObjectBytes& reached) {
    if (stop_()) return Error{Fault::kIo, EINTR, "stopped"};
    PagePlace& found = pages_[id];  // stays where it is: nothing is removed, and nodes do not move
    if (takes_rest_ && found.place.owner != kNobody) return {};
    if (found.place.owner == kSeveral) {
      reached += found.below;
      return {};
    }
    TRY_ASSIGN(const Object bytes, store_.chunks().get(id));
    TRY_ASSIGN(const PageView view, PageView::parse(*bytes, uint8_t(level)));
    if (found.place.owner == kNobody) {
      TRY_ASSIGN(found.place.bytes, bytes_of(id, bytes->size()));
    }
    if (!reach(found.place)) return {};
    ObjectBytes below = found.place.bytes;
    for (uint32_t slot = 0; slot < kPageEntries; slot++) {
      const Entry entry = view.entry(slot);
      if (entry.state != EntryState::kId) continue;
      TRY(level > 0 ? page(entry.id, level - 1, below) : object(entry.id, kChunkBytes, below));
    }
    if (found.place.owner == kSeveral) found.below = below;
    reached += below;
    return {};
  }

  Store& store_;
  const std::function<bool()>& stop_;
  Explanation explanation_;
  std::vector<ObjectBytes> reached_;
  uint32_t owner_ = 0;
  bool takes_rest_ = false;
  std::unordered_map<ChunkId, Place> objects_;
  std::unordered_map<ChunkId, PagePlace> pages_;
};

}  // namespace

Result<Explanation> explain_store(Store& store, const std::function<bool()>& stop) {
  TRY_ASSIGN(const uint64_t object_count, store.local_chunks().object_count());
  const uint64_t wanted_bytes = object_count * kBytesPerObject;
  if (wanted_bytes > available_memory_bytes() / 2) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("to explain {} objects takes {} MiB of memory, of which there is not "
                             "twice as much",
                             object_count, wanted_bytes >> 20)};
  }
  Explanation explanation;
  TRY(look_beside_collection([&]() -> Result<void> {
    TRY_ASSIGN(const GcRoots roots, gc_roots(store));
    TRY_ASSIGN(explanation, Explainer(store, stop).run(roots));
    return {};
  }));
  return explanation;
}

}  // namespace casdisk
