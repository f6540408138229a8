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

// What an entry costs besides its bytes: slot, index node, two allocations.
constexpr uint64_t kEntryOverheadBytes = 256;

uint64_t cost_of(const Object& object) { return object->size() + kEntryOverheadBytes; }

// A load under way, which others wait for. Lives as long as somebody refers to it.
struct Load {
  std::condition_variable done;
  // Guarded by the shard's mutex.
  std::optional<Result<Object>> outcome;
};

struct Slot {
  ChunkId id;
  Object object;  // null: free
  bool referenced = false;
};

}  // namespace

struct ChunkCache::Shard {
  std::mutex mutex;
  // Guarded by mutex.
  std::unordered_map<ChunkId, size_t> index;
  std::vector<Slot> slots;
  std::vector<size_t> free_slots;
  size_t hand = 0;
  std::unordered_map<ChunkId, std::shared_ptr<Load>> loads;
  ChunkCacheCounters counters;

  // REQUIRES for all: mutex is held.
  Object find(const ChunkId& id);
  void insert(const ChunkId& id, const Object& object, uint64_t capacity_bytes);
  void evict_one();
};

Object ChunkCache::Shard::find(const ChunkId& id) {
  auto found = index.find(id);
  if (found == index.end()) {
    counters.miss_count++;
    return nullptr;
  }
  counters.hit_count++;
  slots[found->second].referenced = true;
  return slots[found->second].object;
}

void ChunkCache::Shard::insert(const ChunkId& id, const Object& object, uint64_t capacity_bytes) {
  const uint64_t cost = cost_of(object);
  if (cost > capacity_bytes || index.contains(id)) return;
  while (counters.used_bytes + cost > capacity_bytes) evict_one();
  if (free_slots.empty()) {
    free_slots.push_back(slots.size());
    slots.emplace_back();
  }
  const size_t slot = free_slots.back();
  free_slots.pop_back();
  slots[slot] = Slot{id, object, false};
  index.emplace(id, slot);
  counters.used_bytes += cost;
}

// CLOCK: the hand passes over what was used since it last came by, once.
void ChunkCache::Shard::evict_one() {
  CHECK(!index.empty());
  for (;; hand++) {
    if (hand >= slots.size()) hand = 0;
    Slot& slot = slots[hand];
    if (slot.object == nullptr) continue;
    if (!slot.referenced) break;
    slot.referenced = false;
  }
  counters.used_bytes -= cost_of(slots[hand].object);
  index.erase(slots[hand].id);
  slots[hand] = Slot{};
  free_slots.push_back(hand);
  hand++;
}

ChunkCache::ChunkCache(uint64_t capacity_bytes)
    : shard_count_(std::clamp<uint64_t>(capacity_bytes / kMinShardBytes, 1, kMaxShards)),
      shard_capacity_bytes_(capacity_bytes / shard_count_),
      shards_(std::make_unique<Shard[]>(shard_count_)) {}

ChunkCache::~ChunkCache() = default;

ChunkCache::Shard& ChunkCache::shard_of(const ChunkId& id) const {
  return shards_[std::hash<ChunkId>()(id) % shard_count_];
}

Object ChunkCache::find(const ChunkId& id) {
  Shard& shard = shard_of(id);
  std::lock_guard lock(shard.mutex);
  return shard.find(id);
}

Result<Object> ChunkCache::get(const ChunkId& id, const std::function<Result<Object>()>& load) {
  Shard& shard = shard_of(id);
  std::shared_ptr<Load> mine;
  {
    std::unique_lock lock(shard.mutex);
    if (Object object = shard.find(id)) return object;
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
