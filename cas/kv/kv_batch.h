// KvBatch: changes and conditions that KvStore::write() does as one step, or not at all.
//
// Owns what it is given. Not safe for concurrent use.
#pragma once

#include <deque>

#include "cas/kv/kv_types.h"

namespace casdisk {

class KvBatch {
 public:
  KvBatch() = default;
  KvBatch(KvBatch&&) = default;
  KvBatch& operator=(KvBatch&&) = default;

  KvBatch& put(std::string_view key, std::string_view value, uint64_t ttl_ms = 0) {
    operations_.push_back({KvOperation::Kind::kPut, keep(key), keep(value), ttl_ms});
    return *this;
  }
  KvBatch& remove(std::string_view key) {
    operations_.push_back({KvOperation::Kind::kRemove, keep(key)});
    return *this;
  }
  // Nothing is done unless `key` is not there, is there, or is at that version.
  KvBatch& require_absent(std::string_view key) {
    conditions_.push_back({KvCondition::Kind::kAbsent, keep(key)});
    return *this;
  }
  KvBatch& require_exists(std::string_view key) {
    conditions_.push_back({KvCondition::Kind::kExists, keep(key)});
    return *this;
  }
  KvBatch& require_version(std::string_view key, uint64_t version) {
    conditions_.push_back({KvCondition::Kind::kVersion, keep(key), version});
    return *this;
  }

  std::span<const KvOperation> operations() const { return operations_; }
  std::span<const KvCondition> conditions() const { return conditions_; }
  bool empty() const { return operations_.empty() && conditions_.empty(); }

 private:
  std::string_view keep(std::string_view text) { return texts_.emplace_back(text); }

  std::deque<std::string> texts_;  // what the views are of; its elements stay where they are
  std::vector<KvOperation> operations_;
  std::vector<KvCondition> conditions_;
};

}  // namespace casdisk
