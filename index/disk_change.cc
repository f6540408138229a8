// Changes of a disk that may be in use: rollback, growing and shrinking.
//
// Each is one transaction of the head. Where nothing may be inside the active generation, writes
// wait at the gate until the new layers are set.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "index/checkpoint_view.h"
#include "index/disk.h"
#include "index/resize.h"

namespace casdisk {
namespace {

// Longer than any of our own holds takes; they end by themselves all the same.
constexpr std::chrono::hours kOwnHold{1};

// Seals before the last one of a shrink, which writes wait for: each leaves less to do.
constexpr int kSealsBeforeHold = 3;

class Held {
 public:
  explicit Held(LayersGate& gate)
      : gate_(gate), hold_(gate.hold(LayersGate::Clock::now() + kOwnHold)) {}
  ~Held() { gate_.release(hold_); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  LayersGate& gate_;
  const LayersGate::Hold hold_;
};

}  // namespace

// REQUIRES: change_mutex_ is held. A pending checkpoint is of the disk as it is.
Result<void> Disk::check_may_change() {
  TRY(reload_head());
  std::lock_guard lock(head_mutex_);
  const auto now = LayersGate::Clock::now();
  const bool is_in_group = std::any_of(group_cuts_.begin(), group_cuts_.end(),
                                       [&](const GroupCut& cut) { return now < cut.until; });
  return is_in_group ? Result<void>(busy_with_pending()) : check_nothing_pending(head_);
}

// Once more in each transaction: a group that another process cuts records its own
// (group_checkpoint.h), as late as it likes, and a server that was replaced meanwhile knows of
// none.
Result<void> Disk::check_nothing_pending(const HeadRecord& head) const {
  return head.pending.empty() ? Result<void>() : Result<void>(busy_with_pending());
}

Error Disk::busy_with_pending() const {
  return Error{
      Fault::kBusy, 0,
      fmt::format("disk {} has checkpoints that are not sealed yet; wait for them", name_)};
}

// In a transaction in which `check` holds. Requests that are still at the old root keep it pinned.
// REQUIRES: change_mutex_ is held, and the gate; nobody is inside.
Result<void> Disk::replace_content(const Content& content, const Check& check, Layers after) {
  auto before = layers();
  TRY(before->pin->hold());
  TRY(update_head([&](CatalogWriter& writer, HeadRecord& head) -> Result<void> {
    TRY(check_nothing_pending(head));
    TRY(check(writer, head));
    set_content(head, content);
    drop_generations(head);
    return {};
  }));
  if (directory_) write_note();
  after.generations.clear();
  after.active = false;
  gate_.set(std::move(after));
  auto dropped = before->generations;
  if (armed_) dropped.push_back(std::move(armed_));
  armed_.reset();
  retire(dropped);
  return {};
}

Result<void> Disk::roll_back(const ChunkId& id, const CheckpointRecord& record) {
  Hurry hurry(hurrying_count_);
  std::lock_guard seal_lock(seal_mutex_);
  auto replaced = replace_with(id, record);
  bury(kMaxBurial);
  return replaced;
}

Result<void> Disk::replace_with(const ChunkId& id, const CheckpointRecord& record) {
  std::lock_guard lock(change_mutex_);
  TRY(check_may_change());
  TRY_ASSIGN(Layers after, store_.sealed_layers(record.root, record.size_bytes, record.fallback));
  Held held(gate_);
  if (layers()->active) layers()->generations.front()->drain();
  auto is_kept = [&](CatalogReader& reader, const HeadRecord& head) {
    return check_is_kept(reader, head, id, record);
  };
  TRY(replace_content(content_of(id, record), is_kept, std::move(after)));
  poisoned_ = false;
  return {};
}

Result<void> Disk::resize(uint64_t size_bytes, const SealOptions& options) {
  TRY(check_disk_size(store_, size_bytes));
  Hurry hurry(hurrying_count_);
  std::lock_guard seal_lock(seal_mutex_);
  if (size_bytes == this->size_bytes()) return {};
  auto resized = size_bytes > this->size_bytes() ? grow(size_bytes) : shrink(size_bytes, options);
  bury(kMaxBurial);
  return resized;
}

// What is frozen keeps its size; the next generation has the new one. REQUIRES: seal_mutex_.
Result<void> Disk::grow(uint64_t size_bytes) {
  // The tree is the seals', who wait; writes do not.
  TRY_ASSIGN(const WriteSession session, store_.begin_session());
  TRY_ASSIGN(Tree tree, casdisk::resize(store_.chunks(), layers()->tree, chunks_for(size_bytes)));
  TRY(store_.chunks().sync());
  std::lock_guard lock(change_mutex_);
  TRY(check_may_change());
  auto before = layers();
  Layers after = *before;
  after.size_bytes = size_bytes;
  after.tree = tree;
  after.pin = std::make_shared<TreePin>(store_.views(), tree);
  TRY(before->pin->hold());
  std::shared_ptr<Generation> next;
  if (after.active) {
    TRY_ASSIGN(next, make_generation(size_bytes));
    after.generations.insert(after.generations.begin(), next);
  }
  TRY(update_head([&](CatalogWriter&, HeadRecord& head) -> Result<void> {
    TRY(check_nothing_pending(head));
    head.size_bytes = size_bytes;
    head.root = after.tree.root;
    if (armed_) head.generations.pop_back();
    if (!next) return {};
    head.generations.push_back({next->number(), size_bytes});
    head.next_generation = next->number() + 1;
    return {};
  }));
  if (directory_) write_note();
  gate_.set(std::move(after));
  if (next) before->generations.front()->drain();
  if (!armed_) return {};
  auto dropped = std::move(armed_);
  armed_.reset();
  retire({dropped});
  return {};
}

// REQUIRES: seal_mutex_.
Result<void> Disk::shrink(uint64_t size_bytes, const SealOptions& options) {
  for (int i = 0; i <= kSealsBeforeHold; i++) {
    if (i > 0) TRY(cut({}));  // the first seal makes room for it
    TRY_ASSIGN(SealEnd end, seal_frozen(options));
    if (end == SealEnd::kStopped) return Error{Fault::kIo, EINTR, "stopped"};
  }
  std::lock_guard lock(change_mutex_);
  TRY(check_may_cut());
  TRY(check_may_change());
  TRY_ASSIGN(const WriteSession session, store_.begin_session());
  Held held(gate_);
  TRY_ASSIGN(auto tree, seal_everything(options));
  if (!tree) return Error{Fault::kIo, EINTR, "stopped"};
  HeadRecord shrunk = head();
  shrunk.root = tree->root;
  TRY(resize_head(store_, shrunk, size_bytes));
  TRY(store_.chunks().sync());
  TRY_ASSIGN(Layers after, store_.sealed_layers(shrunk.root, size_bytes, shrunk.fallback));
  auto as_it_is = [](CatalogReader&, const HeadRecord&) { return Result<void>(); };
  return replace_content(content_of(shrunk), as_it_is, std::move(after));
}

// All generations, the active one too. REQUIRES: the gate is held.
Result<std::optional<Tree>> Disk::seal_everything(const SealOptions& options) {
  Layers below = *layers();
  auto generations = std::move(below.generations);
  below.active = false;
  for (auto generation = generations.rbegin(); generation != generations.rend(); ++generation) {
    (*generation)->drain();
    if (auto flushed = (*generation)->flush_overlay(); !flushed.ok()) {
      note_poison(flushed.error());
      return std::move(flushed.error());
    }
    below.generations = {*generation};
    TRY_ASSIGN(auto tree, seal_generation(below, options));
    if (!tree) return std::optional<Tree>();
    below.tree = *tree;
  }
  return std::optional(below.tree);
}

}  // namespace casdisk
