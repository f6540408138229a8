// What is done to a head's record wherever it is changed: pure functions, no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "index/records.h"

namespace casdisk {

// Sealed content: what a fork takes over and a rollback brings back.
struct Content {
  Entry root;
  uint64_t size_bytes = 0;
  std::optional<FallbackUse> fallback;
  std::optional<ChunkId> parent;  // the checkpoint that it is, or descends from

  bool operator==(const Content&) const = default;
};

Content content_of(const HeadRecord& head);
Content content_of(const ChunkId& id, const CheckpointRecord& record);
void set_content(HeadRecord& head, const Content& content);
HeadRecord head_with(const Content& content);

// Of a head whose content is replaced: what was written and not sealed is gone, and a failed sync
// with it. The numbers of generations leave a gap, which tells a group checkpoint that its cut is
// void.
void drop_generations(HeadRecord& head);

// The checkpoint of that name that waits to be sealed; null when there is none.
const PendingCheckpoint* find_pending(const HeadRecord& head, const std::string& name);
PendingCheckpoint* find_pending(HeadRecord& head, const std::string& name);

}  // namespace casdisk
