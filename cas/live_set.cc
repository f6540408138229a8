#include "cas/live_set.h"

#include <fmt/format.h>

#include <cstring>

namespace casdisk {
namespace {

constexpr uint64_t kMinSlots = 1024;

// Ids are hashes: any eight bytes of one will do. 0 stands for an empty slot.
uint64_t bits_of(const ChunkId& id) {
  uint64_t bits;
  std::memcpy(&bits, id.bytes.data(), sizeof(bits));
  return bits == 0 ? 1 : bits;
}

bool is_too_full(uint64_t count, uint64_t slots) { return count > slots / 4 * 3; }

}  // namespace

Result<LiveSet> LiveSet::with_room_for(uint64_t object_count, uint64_t max_bytes) {
  LiveSet set(max_bytes);
  uint64_t slots = kMinSlots;
  while (is_too_full(object_count, slots)) slots *= 2;
  TRY(set.resize(slots));
  return set;
}

Result<void> LiveSet::resize(uint64_t slot_count) {
  const uint64_t wanted_bytes = slot_count * sizeof(uint64_t);
  if (wanted_bytes > max_bytes_) {
    return Error{
        Fault::kInvalid, 0,
        fmt::format("the objects of this store take {} MiB of memory to tell apart, and {} "
                    "MiB may be used",
                    wanted_bytes >> 20, max_bytes_ >> 20)};
  }
  std::vector<uint64_t> before(slot_count, 0);
  before.swap(slots_);
  for (uint64_t bits : before) {
    if (bits != 0) slots_[slot_of(bits)] = bits;
  }
  return {};
}

size_t LiveSet::slot_of(uint64_t bits) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = size_t(bits) & mask;
  while (slots_[slot] != 0 && slots_[slot] != bits) slot = (slot + 1) & mask;
  return slot;
}

Result<void> LiveSet::insert(const ChunkId& id) {
  const uint64_t bits = bits_of(id);
  size_t slot = slot_of(bits);
  if (slots_[slot] == bits) return {};
  if (is_too_full(count_ + 1, slots_.size())) {
    TRY(resize(slots_.size() * 2));
    slot = slot_of(bits);
  }
  slots_[slot] = bits;
  count_++;
  return {};
}

bool LiveSet::contains(const ChunkId& id) const {
  const uint64_t bits = bits_of(id);
  return slots_[slot_of(bits)] == bits;
}

}  // namespace casdisk
