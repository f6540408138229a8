// The cut: what was written so far is frozen while writes go on, and a checkpoint or a fork of it
// is recorded.
//
//   arm ─ swap ─ drain ─ flush ─ record
//
// The next generation is made and named by the head before it takes a write, so that whatever is
// acknowledged into it survives the process. From the swap on writes go there; those still inside
// the old generation end, it is flushed, and only then the catalog says that there is a checkpoint.
// Interrupted before, the disk has one generation more and no checkpoint.
#include <fmt/format.h>

#include <algorithm>

#include "index/disk.h"
#include "index/name_rules.h"
#include "index/new_disk.h"

namespace casdisk {
namespace {

// How long a cut of a group keeps later generations from being sealed, which would end the chance
// to record it.
constexpr std::chrono::seconds kMaxGroupTime{5};

PendingCheckpoint pending_of(const CutRequest& request, uint64_t generation, Store& store) {
  PendingCheckpoint pending;
  pending.name = request.checkpoint;
  pending.generation = generation;
  pending.time_ns = store.now_ns();
  pending.cut = store.random();
  pending.labels = request.labels;
  pending.attachments = request.attachments;
  return pending;
}

uint64_t bytes_of(const Generation& generation) {
  auto bytes = generation.allocated_bytes();
  return bytes.ok() ? bytes.value() : 0;
}

}  // namespace

Result<void> Disk::cut(const CutRequest& request) {
  std::lock_guard lock(change_mutex_);
  TRY(check_may_cut());
  if (request.checkpoint.empty()) return freeze_and_record(nullptr);
  TRY(check_new_checkpoint_name(request.checkpoint));
  TRY(store_.catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(HeadRecord head, reader.head(name_));
    return check_may_add_pending(reader, head, request.checkpoint);
  }));
  return freeze_and_record([&](CatalogWriter& writer, HeadRecord& head) -> Result<void> {
    // Once more, in the record as it is now: a group may have added to it.
    TRY(check_may_add_pending(writer, head, request.checkpoint));
    head.pending.push_back(pending_of(request, newest_frozen(), store_));
    return {};
  });
}

Result<void> Disk::fork(const std::string& new_disk) {
  TRY(check_name(new_disk, "disk"));
  std::lock_guard lock(change_mutex_);
  TRY(check_may_cut());
  return freeze_and_record([&](CatalogWriter& writer, HeadRecord& head) -> Result<void> {
    NewDisk made{head_with(content_of(head)), {}, {}};
    if (frozen_count() > 0 || !head.pending.empty()) {
      TRY_ASSIGN(uint64_t cut, cut_to_fork(head));
      made.head.root = {};
      made.head.origin = ForkOrigin{uid_, cut};
    }
    return enter_disk(writer, store_, new_disk, std::move(made));
  });
}

// Freezes, and changes the head's record; with a null `change` only as far as freezing did.
Result<void> Disk::freeze_and_record(const HeadChange& change) {
  const bool was_active = layers()->active;
  TRY(freeze());
  const bool is_active = layers()->active;
  if (!change && was_active == is_active) return {};
  auto recorded = update_head([&](CatalogWriter& writer, HeadRecord& head) -> Result<void> {
    head.active = is_active;
    return change ? change(writer, head) : Result<void>();
  });
  if (!recorded.ok() && was_active != is_active) unfreeze();
  return recorded;
}

// A pending cut of the head as it is: the last one if nothing was frozen since, else a new one that
// has no name.
Result<uint64_t> Disk::cut_to_fork(HeadRecord& head) {
  if (head.pending.empty() || head.pending.back().generation != newest_frozen()) {
    if (head.pending.size() >= kMaxGenerations) return busy_with_seals();
    head.pending.push_back(pending_of({}, newest_frozen(), store_));
  }
  head.pending.back().forked = true;
  return head.pending.back().cut;
}

// Names the next generation in the head, so that a swap is all that is left to do.
Result<void> Disk::arm() {
  if (armed_) return {};
  uint64_t size_bytes = layers()->size_bytes;
  TRY_ASSIGN(auto made, make_generation(size_bytes));
  TRY(update_head([&](CatalogWriter&, HeadRecord& head) -> Result<void> {
    head.generations.push_back({made->number(), size_bytes});
    head.next_generation = made->number() + 1;
    return {};
  }));
  armed_ = std::move(made);
  return {};
}

// Nothing is frozen where nothing was written since the last time. What is poisoned goes all the
// same when it is accepted: its map remembers.
Result<void> Disk::freeze() {
  auto before = layers();
  const bool accepts = options_.accept_poison;
  if (before->active && (accepts || !before->generations.front()->is_clean())) {
    TRY(check_room());
    if (options_.is_served) TRY(arm());
    gate_.set(frozen(*before));
    if (options_.is_served) armed_.reset();
  }
  auto flushed = flush_frozen();
  if (!flushed.ok() && before->active && !layers()->active) unfreeze();
  return flushed;
}

// The layers after the swap: writes go to the armed generation, or to none.
Layers Disk::frozen(Layers layers) const {
  layers.active = options_.is_served;
  if (options_.is_served) layers.generations.insert(layers.generations.begin(), armed_);
  return layers;
}

// The last generation takes writes again: it could not be flushed, or not be recorded as frozen.
void Disk::unfreeze() {
  Layers again = *layers();
  if (again.generations.empty()) return;
  again.active = true;
  gate_.set(std::move(again));
}

Result<void> Disk::flush_frozen() {
  auto now = layers();
  for (size_t i = now->generations.size(); i-- > (now->active ? 1 : 0);) {
    now->generations[i]->drain();
    auto flushed = now->generations[i]->flush();
    if (flushed.ok()) continue;
    note_poison(flushed.error());
    return flushed;
  }
  return {};
}

size_t Disk::frozen_count() const {
  auto now = layers();
  return now->generations.size() - (now->active ? 1 : 0);
}

// The last generation that a checkpoint made now has in it, whether or not it is sealed already.
uint64_t Disk::newest_frozen() const {
  auto now = layers();
  if (!now->active) return head().next_generation - 1;
  return now->generations.front()->number() - 1;
}

bool Disk::has_room_for_cut() const {
  SealStatus status = seal_status();
  return status.frozen_count < kMaxFrozenGenerations && status.frozen_bytes < kMaxFrozenBytes &&
         head().pending.size() < kMaxGenerations;
}

Result<void> Disk::check_room() const {
  return has_room_for_cut() ? Result<void>() : Result<void>(busy_with_seals());
}

Error Disk::busy_with_seals() const {
  return Error{Fault::kBusy, 0,
               fmt::format("disk {} has {} generations and {} checkpoints that are not sealed yet; "
                           "wait for them",
                           name_, frozen_count(), head().pending.size())};
}

SealStatus Disk::seal_status() const {
  SealStatus status;
  auto now = layers();
  for (const auto& generation : now->generations) {
    if (now->active && generation == now->generations.front()) {
      status.active_bytes = bytes_of(*generation);
    } else {
      status.frozen_count++;
      status.frozen_bytes += bytes_of(*generation);
    }
  }
  std::lock_guard lock(head_mutex_);
  for (const PendingCheckpoint& pending : head_.pending) {
    if (!pending.name.empty()) status.pending.push_back(pending.name);
  }
  status.failure = seal_failure_;
  return status;
}

// What a failed sync may have lost must not become a checkpoint by itself.
Result<void> Disk::check_may_cut() const {
  return options_.accept_poison ? Result<void>() : check_not_poisoned();
}

Result<void> Disk::check_may_add_pending(CatalogReader& reader, const HeadRecord& head,
                                         const std::string& checkpoint) const {
  TRY(reader.check_checkpoint_is_new(name_, head, checkpoint));
  return head.pending.size() < kMaxGenerations ? Result<void>() : Result<void>(busy_with_seals());
}

Result<void> Disk::prepare_cut() {
  std::lock_guard lock(change_mutex_);
  TRY(check_may_cut());
  TRY(check_room());
  return options_.is_served && layers()->active ? arm() : Result<void>();
}

Result<LayersGate::Hold> Disk::hold(LayersGate::Clock::time_point deadline) {
  std::lock_guard lock(change_mutex_);
  if (!gate_.is_held()) return gate_.hold(deadline);
  return Error{Fault::kBusy, 0, fmt::format("disk {} is being cut by another group", name_)};
}

void Disk::release(LayersGate::Hold hold) { gate_.release(hold); }

Result<uint64_t> Disk::cut_held(LayersGate::Hold hold) {
  std::lock_guard lock(change_mutex_);
  auto before = layers();
  bool is_written = before->active && !before->generations.front()->is_clean();
  // Another cut may have taken the one that was prepared.
  if (is_written && options_.is_served) TRY(arm());
  if (!gate_.set_held(hold, is_written ? frozen(*before) : *before)) {
    return Error{Fault::kBusy, 0, fmt::format("disk {}: the hold of its writes was over", name_)};
  }
  if (is_written && options_.is_served) armed_.reset();
  const uint64_t generation = newest_frozen();
  std::lock_guard head_lock(head_mutex_);
  group_cuts_.push_back({generation, LayersGate::Clock::now() + kMaxGroupTime});
  return generation;
}

Result<void> Disk::flush_cut() {
  std::lock_guard lock(change_mutex_);
  TRY(flush_frozen());
  bool is_active = layers()->active;
  if (head().active == is_active) return {};
  return update_head([&](CatalogWriter&, HeadRecord& head) -> Result<void> {
    head.active = is_active;
    return {};
  });
}

Result<void> Disk::reload(uint64_t generation) {
  std::lock_guard lock(change_mutex_);
  TRY(reload_head());
  std::lock_guard head_lock(head_mutex_);
  auto cut = std::find_if(group_cuts_.begin(), group_cuts_.end(),
                          [&](const GroupCut& kept) { return kept.generation == generation; });
  if (cut != group_cuts_.end()) group_cuts_.erase(cut);
  return {};
}

}  // namespace casdisk
