#include "cas/raw_records.h"

#include <algorithm>

namespace casdisk {

namespace {

constexpr size_t kWays = 4;
// Of the chunks that the cache can hold: so many are remembered, and reads of so many blocks are a
// window.
constexpr uint64_t kRecordsPerChunk = 8;
// And no more than that: 10 MiB.
constexpr uint64_t kMaxSets = 16384;
// Blocks within about a window. Reading and checking one costs a tenth of loading a chunk.
constexpr uint32_t kOften = 12;
// The second read of a whole chunk makes it often, not the first.
constexpr uint32_t kMaxCount = kOften - 1;
// A read that begins where the last one ended asks for nothing again. If it is small, many like it
// will follow.
constexpr uint32_t kSmallBlocks = 2, kSmallSequentialCount = 4;

uint32_t count_of(uint32_t block_count, bool goes_on) {
  if (!goes_on) return std::min(block_count, kMaxCount);
  return block_count <= kSmallBlocks ? kSmallSequentialCount : 0;
}

struct Slot {
  ChunkId id;
  RawRecord record;
  uint32_t count = 0;  // halved with each window; 0: free, or as good as
  uint32_t next_block = 0;
  uint64_t window = 0;  // when it was counted last

  void age(uint64_t now) {
    if (now <= window) return;  // another thread was faster
    count >>= std::min<uint64_t>(now - window, 31);
    window = now;
  }
};

}  // namespace

struct alignas(64) RawRecords::Set {
  std::mutex mutex;
  std::array<Slot, kWays> slots;  // guarded by mutex

  // REQUIRES: mutex is held.
  Slot* find(const ChunkId& id) {
    for (Slot& slot : slots) {
      if (slot.record.location.record_bytes != 0 && slot.id == id) return &slot;
    }
    return nullptr;
  }
};

RawRecords::RawRecords(uint64_t cache_bytes)
    : window_blocks_(std::max<uint64_t>(1, cache_bytes / kChunkBytes) * kRecordsPerChunk),
      set_count_(std::min((window_blocks_ + kWays - 1) / kWays, kMaxSets)) {}

RawRecords::~RawRecords() = default;

// The id is a hash already. Null before the first keep().
RawRecords::Set* RawRecords::set_of(const ChunkId& id) const {
  Set* const sets = sets_.load(std::memory_order_acquire);
  if (sets == nullptr) return nullptr;
  return &sets[uint64_t(load_le<uint32_t>(&id.bytes[8])) * set_count_ >> 32];
}

RawRecords::Touched RawRecords::touch(const ChunkId& id, uint32_t first_block,
                                      uint32_t block_count) {
  const uint64_t now =
      touched_blocks_.fetch_add(block_count, std::memory_order_relaxed) / window_blocks_;
  Set* set = set_of(id);
  if (set == nullptr) return {};
  std::lock_guard lock(set->mutex);
  Slot* slot = set->find(id);
  if (slot == nullptr) return {};
  slot->age(now);
  slot->count += count_of(block_count, first_block == slot->next_block);
  slot->next_block = first_block + block_count;
  Touched touched{slot->record, slot->count >= kOften};
  if (touched.often) slot->count = 0;
  return touched;
}

void RawRecords::keep(const ChunkId& id, const RawRecord& record, uint32_t first_block,
                      uint32_t block_count) {
  const uint64_t now = touched_blocks_.load(std::memory_order_relaxed) / window_blocks_;
  std::call_once(made_, [this] {
    made_sets_ = std::make_unique<Set[]>(set_count_);
    sets_.store(made_sets_.get(), std::memory_order_release);
  });
  Set* set = set_of(id);
  std::lock_guard lock(set->mutex);
  Slot* slot = set->find(id);
  if (slot == nullptr) {
    for (Slot& each : set->slots) each.age(now);
    slot = &*std::ranges::min_element(set->slots, {}, &Slot::count);
  }
  *slot = Slot{id, record, count_of(block_count, false), first_block + block_count, now};
}

void RawRecords::forget(const ChunkId& id) {
  Set* set = set_of(id);
  if (set == nullptr) return;
  std::lock_guard lock(set->mutex);
  if (Slot* slot = set->find(id)) *slot = Slot{};
}

}  // namespace casdisk
