#include "index/head.h"

#include <algorithm>
#include <utility>

namespace casdisk {

Content content_of(const HeadRecord& head) {
  return {head.root, head.size_bytes, head.fallback, head.parent};
}

Content content_of(const ChunkId& id, const CheckpointRecord& record) {
  return {record.root, record.size_bytes, record.fallback, id};
}

void set_content(HeadRecord& head, const Content& content) {
  head.root = content.root;
  head.size_bytes = content.size_bytes;
  head.fallback = content.fallback;
  head.parent = content.parent;
}

HeadRecord head_with(const Content& content) {
  HeadRecord head;
  set_content(head, content);
  return head;
}

void drop_generations(HeadRecord& head) {
  head.generations.clear();
  head.active = false;
  head.next_generation++;
  head.poisoned = false;
}

const PendingCheckpoint* find_pending(const HeadRecord& head, const std::string& name) {
  auto found = std::find_if(head.pending.begin(), head.pending.end(),
                            [&](const auto& pending) { return pending.name == name; });
  return found == head.pending.end() ? nullptr : &*found;
}

PendingCheckpoint* find_pending(HeadRecord& head, const std::string& name) {
  return const_cast<PendingCheckpoint*>(find_pending(std::as_const(head), name));
}

}  // namespace casdisk
