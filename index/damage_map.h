// DamageMap: which bytes of which disks and checkpoints are lost with damaged objects.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include "index/root_walk.h"

namespace casdisk {

struct ByteRange {
  uint64_t offset = 0;
  uint64_t length = 0;
  bool operator==(const ByteRange&) const = default;
};

// Ranges in ascending order, of which those that touch are one. Keeps the first kMaxKept.
class RangeList {
 public:
  static constexpr size_t kMaxKept = 1000;

  // REQUIRES: `offset` is not below the end of what was added before.
  void add(uint64_t offset, uint64_t length);

  const std::vector<ByteRange>& kept() const { return kept_; }
  uint64_t count() const { return count_; }
  uint64_t total_bytes() const { return total_bytes_; }

 private:
  std::vector<ByteRange> kept_;
  uint64_t count_ = 0, total_bytes_ = 0, end_ = 0;
};

// A volume that has lost something, under the name of its CatalogRoot.
struct VolumeDamage {
  std::string name;
  RangeList ranges;
};

struct DamageMapOptions {
  std::function<bool(const ChunkId&)> is_bad;
  std::function<Result<Object>(const ChunkId&)> read_page;
  // Called for each place where a bad object was met: how one chunk's owners are found.
  std::function<void(const ChunkId&, const CatalogRoot&, ByteRange)> met =
      [](const ChunkId&, const CatalogRoot&, ByteRange) {};
};

// Finds the damage of one root after another. Subtrees that were found whole are not entered again,
// so all of a store's roots cost one visit of each page. Memory: about 60 bytes a page, and the
// damaged ranges of fallbacks' tables. Used by one thread.
class DamageMap {
 public:
  explicit DamageMap(DamageMapOptions options) : options_(std::move(options)) {}

  // What `root` has lost, also where only the table of its fallback knew of it: tables are to come
  // before the roots that use them. Ranges end at the root's size.
  Result<VolumeDamage> damage_of(const CatalogRoot& root);

  // Ranges of `root` which only the file of its fallback answers: absent in the tree and in
  // `table`.
  Result<RangeList> not_ingested(const CatalogRoot& root, const CatalogRoot& table);

 private:
  using VisitRun = std::function<Result<void>(uint64_t first, uint64_t count)>;
  struct Part {  // of a tree: an entry, the levels below it, and its first chunk
    Entry entry;
    uint32_t levels = 0;
    uint64_t base = 0;
  };
  struct Chunks {
    uint64_t first = 0;
    uint64_t end = 0;
  };

  Result<bool> find_bad(const CatalogRoot& root, const Part& part, std::vector<ByteRange>& found);
  Result<void> visit_absent(const Part& part, Chunks within, const VisitRun& visit);
  Result<std::vector<ByteRange>> lost_with_table(const CatalogRoot& root);

  const DamageMapOptions options_;
  std::unordered_set<ChunkId> whole_;
  std::map<FallbackId, std::vector<ByteRange>> lost_in_tables_;
};

}  // namespace casdisk
