#include "cas/chunk_cache.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

namespace casdisk {

namespace {

// Enough that threads seldom meet, with shards no smaller than 64 chunks.
constexpr size_t kMaxShards = 16;
constexpr uint64_t kMinShardBytes = uint64_t(64) * kChunkBytes;

// What an entry costs besides its bytes: slot, cells of the index, two allocations.
constexpr uint64_t kEntryOverheadBytes = 256;

uint64_t cost_of(const Object& object) { return object->size() + kEntryOverheadBytes; }

// A load under way, which others wait for. Lives as long as somebody refers to it.
struct Load {
  std::condition_variable done;
  // Guarded by the shard's mutex.
  std::optional<Result<Object>> outcome;
};

// One cache line.
struct alignas(64) Slot {
  ChunkId id;
  Object object;  // null: free
  bool referenced = false;
};

// The id is a hash already. The upper half chooses the shard, the lower one the place in its index.
uint32_t upper_half(const ChunkId& id) { return load_le<uint32_t>(&id.bytes[4]); }
uint32_t lower_half(const ChunkId& id) { return load_le<uint32_t>(&id.bytes[0]); }

// SlotIndex: from an id to the slot that holds it. A table of cells with linear probing, at most
// half full, so that a hit touches one line here and one of the slot.
class SlotIndex {
 public:
  // The slot, or kNone.
  uint32_t find(const ChunkId& id, const std::vector<Slot>& slots) const {
    const uint32_t hash = lower_half(id);
    for (size_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Cell& cell = cells_[at];
      if (cell.slot == kNone) return kNone;
      if (cell.hash == hash && slots[cell.slot].id == id) return cell.slot;
    }
  }
  // REQUIRES: not there already.
  void add(const ChunkId& id, uint32_t slot);
  // REQUIRES: there.
  void remove(const ChunkId& id, uint32_t slot);

  // As many slots can be told apart: 2^32 entries cost a terabyte (kEntryOverheadBytes).
  static constexpr uint32_t kNone = UINT32_MAX;

 private:
  struct Cell {
    uint32_t hash = 0;
    uint32_t slot = kNone;
  };
  void place(Cell cell);
  void grow();

  std::vector<Cell> cells_ = std::vector<Cell>(16);  // a power of two
  size_t mask_ = 15;
  size_t count_ = 0;
};

void SlotIndex::place(Cell cell) {
  size_t at = cell.hash & mask_;
  while (cells_[at].slot != kNone) at = (at + 1) & mask_;
  cells_[at] = cell;
}

void SlotIndex::grow() {
  std::vector<Cell> before(cells_.size() * 2);
  before.swap(cells_);
  mask_ = cells_.size() - 1;
  for (const Cell& cell : before) {
    if (cell.slot != kNone) place(cell);
  }
}

void SlotIndex::add(const ChunkId& id, uint32_t slot) {
  if (++count_ * 2 > cells_.size()) grow();
  place({lower_half(id), slot});
}

// What follows moves up into the hole, unless it would come before its own first place: so no
// search ever meets a hole in front of what it looks for.
void SlotIndex::remove(const ChunkId& id, uint32_t slot) {
  size_t hole = lower_half(id) & mask_;
  while (cells_[hole].slot != slot) hole = (hole + 1) & mask_;
  for (size_t at = (hole + 1) & mask_; cells_[at].slot != kNone; at = (at + 1) & mask_) {
    const size_t from_home = (at - cells_[at].hash) & mask_;
    if (from_home < ((at - hole) & mask_)) continue;
    cells_[hole] = cells_[at];
    hole = at;
  }
  cells_[hole] = Cell{};
  count_--;
}

}  // namespace

// On lines of its own: threads that use different shards do not disturb each other.
struct alignas(64) ChunkCache::Shard {
  std::mutex mutex;
  // Guarded by mutex.
  SlotIndex index;
  std::vector<Slot> slots;
  std::vector<uint32_t> free_slots;
  size_t hand = 0;
  std::unordered_map<ChunkId, std::shared_ptr<Load>> loads;
  ChunkCacheCounters counters;

  // REQUIRES for all: mutex is held.
  Object find(const ChunkId& id);
  void insert(const ChunkId& id, const Object& object, uint64_t capacity_bytes);
  void evict_one();
};

Object ChunkCache::Shard::find(const ChunkId& id) {
  const uint32_t found = index.find(id, slots);
  if (found == SlotIndex::kNone) {
    counters.miss_count++;
    return nullptr;
  }
  counters.hit_count++;
  Slot& slot = slots[found];
  slot.referenced = true;
  return slot.object;
}

void ChunkCache::Shard::insert(const ChunkId& id, const Object& object, uint64_t capacity_bytes) {
  const uint64_t cost = cost_of(object);
  if (cost > capacity_bytes || index.find(id, slots) != SlotIndex::kNone) return;
  while (counters.used_bytes + cost > capacity_bytes) evict_one();
  if (free_slots.empty()) {
    CHECK(slots.size() < SlotIndex::kNone);
    free_slots.push_back(uint32_t(slots.size()));
    slots.emplace_back();
  }
  const uint32_t slot = free_slots.back();
  free_slots.pop_back();
  slots[slot] = Slot{id, object, false};
  index.add(id, slot);
  counters.used_bytes += cost;
}

// CLOCK: the hand passes over what was used since it last came by, once.
void ChunkCache::Shard::evict_one() {
  CHECK(counters.used_bytes > 0);
  for (;; hand++) {
    if (hand >= slots.size()) hand = 0;
    Slot& slot = slots[hand];
    if (slot.object == nullptr) continue;
    if (!slot.referenced) break;
    slot.referenced = false;
  }
  counters.used_bytes -= cost_of(slots[hand].object);
  index.remove(slots[hand].id, uint32_t(hand));
  slots[hand] = Slot{};
  free_slots.push_back(uint32_t(hand));
  hand++;
}

ChunkCache::ChunkCache(uint64_t capacity_bytes)
    : shard_count_(std::clamp<uint64_t>(capacity_bytes / kMinShardBytes, 1, kMaxShards)),
      shard_capacity_bytes_(capacity_bytes / shard_count_),
      shards_(std::make_unique<Shard[]>(shard_count_)) {}

ChunkCache::~ChunkCache() = default;

ChunkCache::Shard& ChunkCache::shard_of(const ChunkId& id) const {
  return shards_[uint64_t(upper_half(id)) * shard_count_ >> 32];
}

Object ChunkCache::find(const ChunkId& id) {
  Shard& shard = shard_of(id);
  std::lock_guard lock(shard.mutex);
  return shard.find(id);
}

// The miss is counted. Another thread's load may have ended since.
Result<Object> ChunkCache::load_missed(const ChunkId& id,
                                       const std::function<Result<Object>()>& load) {
  Shard& shard = shard_of(id);
  std::shared_ptr<Load> mine;
  {
    std::unique_lock lock(shard.mutex);
    const uint32_t found = shard.index.find(id, shard.slots);
    if (found != SlotIndex::kNone) return shard.slots[found].object;
    auto [entry, is_new] = shard.loads.try_emplace(id);
    if (!is_new) {
      const std::shared_ptr<Load> other = entry->second;
      other->done.wait(lock, [&] { return other->outcome.has_value(); });
      return *other->outcome;
    }
    mine = entry->second = std::make_shared<Load>();
  }
  auto outcome = load();
  std::lock_guard lock(shard.mutex);
  if (outcome.ok()) shard.insert(id, outcome.value(), shard_capacity_bytes_);
  mine->outcome = outcome;
  shard.loads.erase(id);
  mine->done.notify_all();
  return outcome;
}

void ChunkCache::insert(const ChunkId& id, const Object& object) {
  Shard& shard = shard_of(id);
  std::lock_guard lock(shard.mutex);
  shard.insert(id, object, shard_capacity_bytes_);
}

ChunkCacheCounters ChunkCache::counters() const {
  ChunkCacheCounters sum;
  for (size_t i = 0; i < shard_count_; i++) {
    std::lock_guard lock(shards_[i].mutex);
    sum.hit_count += shards_[i].counters.hit_count;
    sum.miss_count += shards_[i].counters.miss_count;
    sum.used_bytes += shards_[i].counters.used_bytes;
  }
  return sum;
}

}  // namespace casdisk
