#include "index/volume_diff.h"

#include <algorithm>

#include "index/checkpoint_view.h"

namespace casdisk {
namespace {

class RangeJoiner {
 public:
  explicit RangeJoiner(const std::function<bool(const DiffRange&)>& visit) : visit_(visit) {}

  bool add(uint64_t from, uint64_t to) {
    if (range_.length > 0 && range_.offset + range_.length == from) {
      range_.length += to - from;
      return true;
    }
    bool go_on = flush();
    range_ = {from, to - from};
    return go_on;
  }
  bool flush() {
    bool go_on = range_.length == 0 || visit_(range_);
    range_ = {};
    return go_on;
  }

 private:
  const std::function<bool(const DiffRange&)>& visit_;
  DiffRange range_;
};

Result<bool> bytes_differ(const Layers& before, const Layers& after, uint64_t chunk) {
  Bytes left(kChunkBytes), right(kChunkBytes);
  if (chunk < before.tree.chunk_count) TRY(read_chunk(before, chunk, left));
  if (chunk < after.tree.chunk_count) TRY(read_chunk(after, chunk, right));
  return left != right;
}

bool same_fallback(const Layers& before, const Layers& after) {
  return before.fallback == after.fallback &&
         before.fallback_limit_bytes == after.fallback_limit_bytes;
}

}  // namespace

Result<void> diff_volumes(Store& store, const VolumeName& before_name, const VolumeName& after_name,
                          const std::function<bool(const DiffRange&)>& visit) {
  // Comparing trees of different heights puts a few pages (tree.h), which nobody publishes.
  TRY_ASSIGN(const WriteSession session, store.begin_session());
  TRY_ASSIGN(Layers before, pinned_layers(store, before_name));
  TRY_ASSIGN(Layers after, pinned_layers(store, after_name));
  RangeJoiner joiner(visit);
  uint64_t end_bytes = std::max(before.size_bytes, after.size_bytes);
  Result<void> outcome;
  auto compare = [&](uint64_t chunk, bool certain) {
    if (!certain) {
      auto differ = bytes_differ(before, after, chunk);
      if (!differ.ok()) outcome = std::move(differ.error());
      if (!differ.ok() || !differ.value()) return differ.ok();
    }
    return joiner.add(chunk * kChunkBytes, std::min(end_bytes, (chunk + 1) * kChunkBytes));
  };
  bool go_on = true;
  if (same_fallback(before, after)) {
    // Two ids are two contents; an absent or zero entry may stand for the same bytes as an id.
    TRY(diff(store.chunks(), before.tree, after.tree, [&](const Difference& difference) {
      bool both_ids =
          difference.before.state == EntryState::kId && difference.after.state == EntryState::kId;
      bool no_fallback = difference.chunk * kChunkBytes >= before.fallback_limit_bytes;
      return go_on = compare(difference.chunk, both_ids || no_fallback);
    }));
  } else {
    for (uint64_t chunk = 0; chunk < chunks_for(end_bytes) && go_on; chunk++) {
      go_on = compare(chunk, false);
    }
  }
  TRY(std::move(outcome));
  joiner.flush();
  return {};
}

}  // namespace casdisk
