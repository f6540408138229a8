// LiveSet: which objects are alive, as far as 64 bits of their ids tell.
//
// Two objects with the same bits are both alive when one of them is: what is taken for alive in
// error is kept, never the other way round. 11 to 22 bytes an object. Not safe for concurrent use.
#pragma once

#include <cstdint>
#include <vector>

#include "cas/chunk_id.h"
#include "cas/os/result.h"

namespace casdisk {

class LiveSet {
 public:
  // With room for that many; it grows. Neither takes more than `max_bytes`: kInvalid, which says
  // how much is needed.
  static Result<LiveSet> with_room_for(uint64_t object_count, uint64_t max_bytes);

  Result<void> insert(const ChunkId& id);
  bool contains(const ChunkId& id) const;
  uint64_t count() const { return count_; }

 private:
  explicit LiveSet(uint64_t max_bytes) : max_bytes_(max_bytes) {}
  Result<void> resize(uint64_t slot_count);
  size_t slot_of(uint64_t bits) const;

  uint64_t max_bytes_;
  uint64_t count_ = 0;
  std::vector<uint64_t> slots_;  // a power of two of them, at most three quarters full; 0: empty
};

}  // namespace casdisk
