// Sealing: frozen generations become chunks, the head gets a new root, and what waited for it -
// checkpoints and forks - becomes real.
//
// Order: chunks and pages are put, the store is synced (bytes, then their locations), the head, its
// checkpoints and forks are published in one transaction, the generation's files are removed.
// Whatever is interrupted is begun anew from the generation, which is there until the last step.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "index/disk.h"

namespace casdisk {
namespace {

// A server that is replaced while it is asked is back within a second or two.
constexpr int kMaxSettleTries = 100;
constexpr std::chrono::milliseconds kSettleTryEvery{50};

// A cut whose content is sealed, on its way into the catalog.
struct MadeCut {
  uint64_t cut = 0;
  Entry root;
  std::optional<SealedCheckpoint> checkpoint;  // of a cut with a name
  std::optional<ChunkId> parent;               // of what is forked of it
};

// The cut has no unsealed content, or none but `sealed`, the oldest generation.
bool is_sealed_with(const PendingCheckpoint& pending, const HeadRecord& head,
                    const Generation* sealed) {
  const uint64_t first = head.generations.empty() ? UINT64_MAX : head.generations.front().number;
  return pending.generation < first || (sealed && pending.generation == sealed->number());
}

// Makes what waits for no other seal: pending cuts of before the generation `sealed`, the oldest,
// began are the head as it is; those at its end have the root `tree`. Without a sealed generation,
// those that wait for none.
Result<std::vector<MadeCut>> make_cuts(ChunkStore& chunks, const HeadRecord& head,
                                       const std::string& disk, const Tree& tree,
                                       const Generation* sealed) {
  std::vector<MadeCut> made;
  std::optional<ChunkId> parent = head.parent;
  for (const PendingCheckpoint& pending : head.pending) {
    if (!is_sealed_with(pending, head, sealed)) break;
    bool is_head = is_sealed_with(pending, head, nullptr);
    MadeCut cut{pending.cut, is_head ? head.root : tree.root, std::nullopt, parent};
    if (!pending.name.empty()) {
      CheckpointRecord record;
      record.root = cut.root;
      record.size_bytes = head.size_bytes;
      record.parent = parent;
      record.fallback = head.fallback;
      record.time_ns = pending.time_ns;
      record.disk = disk;
      record.name = pending.name;
      record.labels = pending.labels;
      record.attachments = pending.attachments;
      Bytes encoded = encode(record);
      TRY_ASSIGN(ChunkId id, chunks.put(ObjectKind::kCheckpoint, encoded));
      cut.checkpoint = SealedCheckpoint{pending.name, id, std::move(encoded)};
      cut.parent = parent = id;
    }
    made.push_back(std::move(cut));
  }
  return made;
}

Result<void> settle_forks(CatalogWriter& writer, const HeadRecord& source, const MadeCut& cut) {
  TRY_ASSIGN(auto heads, writer.heads());
  for (auto& [name, fork] : heads) {
    if (fork.origin != ForkOrigin{source.uid, cut.cut}) continue;
    fork.origin.reset();
    set_content(fork, {cut.root, source.size_bytes, source.fallback, cut.parent});
    TRY(writer.put_head(name, fork));
  }
  return {};
}

// A cut of the same content that is none of `made`.
bool has_other_cuts(const HeadRecord& head, const std::vector<MadeCut>& made,
                    const Generation* sealed) {
  return std::any_of(head.pending.begin(), head.pending.end(), [&](const auto& pending) {
    auto is_it = [&](const MadeCut& cut) { return cut.cut == pending.cut; };
    return is_sealed_with(pending, head, sealed) && std::none_of(made.begin(), made.end(), is_it);
  });
}

// In the transaction the head is as it is: meanwhile a pending checkpoint may have been removed,
// whose record stays a link of the lineage, or been forked.
Result<void> publish_cut(CatalogWriter& writer, HeadRecord& head, const MadeCut& cut) {
  if (cut.checkpoint) {
    TRY(writer.put_checkpoint_record(cut.checkpoint->id, cut.checkpoint->encoded));
    head.parent = cut.checkpoint->id;
  }
  auto pending = std::find_if(head.pending.begin(), head.pending.end(),
                              [&](const auto& waiting) { return waiting.cut == cut.cut; });
  if (pending == head.pending.end()) return {};
  if (!pending->name.empty()) {
    TRY(writer.name_checkpoint(head.uid, pending->name, cut.checkpoint->id));
  }
  if (pending->forked) TRY(settle_forks(writer, head, cut));
  head.pending.erase(pending);
  return {};
}

}  // namespace

Result<SealEnd> Disk::seal(const SealOptions& options) {
  std::optional<Hurry> hurry;
  if (options.urgency == Urgency::kNow) hurry.emplace(hurrying_count_);
  std::lock_guard lock(seal_mutex_);
  SealOptions all = options;
  if (!hurry) all.stop = [&] { return hurrying_count_ > 0 || options.stop(); };
  auto end = seal_frozen(all);
  note_publication(end.ok() ? std::nullopt : std::optional(end.error()));
  return end;
}

Result<void> Disk::seal(unsigned threads, const SealProgress& progress) {
  SealOptions options;
  options.threads = threads;
  options.progress = progress;
  TRY(seal(options));
  return {};
}

// Where a crash has left so much that there is no room for a cut, that is sealed first: there is
// nobody else who would.
Result<void> Disk::make_room_for_cut(unsigned threads, const SealProgress& progress) {
  return has_room_for_cut() ? Result<void>() : seal(threads, progress);
}

Result<void> Disk::seal_all(unsigned threads, const SealProgress& progress) {
  TRY(make_room_for_cut(threads, progress));
  TRY(cut({}));
  return seal(threads, progress);
}

// REQUIRES: seal_mutex_ is held.
Result<SealEnd> Disk::seal_frozen(const SealOptions& options) {
  while (frozen_count() > 0) {
    write_note();  // of the cuts, which did not wait for it
    TRY_ASSIGN(SealEnd end, seal_oldest(options));
    if (end == SealEnd::kStopped) return end;
    bury(std::chrono::milliseconds(0));
  }
  TRY(publish_seal(nullptr, layers()->tree));  // cuts of a head that nobody wrote to
  bury(kMaxBurial);
  return SealEnd::kDone;
}

Result<SealEnd> Disk::seal_oldest(const SealOptions& options) {
  Layers oldest = *layers();
  oldest.generations = {oldest.generations.back()};
  oldest.active = false;
  const auto& generation = oldest.generations.front();
  while (is_kept_by_group(generation->number())) {
    if (options.stop()) return SealEnd::kStopped;
    wait_for_seal(std::chrono::milliseconds(5));
  }
  generation->drain();  // the cut that froze it may still be at it
  TRY(check_may_cut());
  // What is only in the page cache may be lost there unnoticed; sealed, it would count as what was
  // written.
  if (auto flushed = generation->flush_overlay(); !flushed.ok()) {
    std::lock_guard lock(change_mutex_);
    note_poison(flushed.error());
    return std::move(flushed.error());
  }
  TRY_ASSIGN(const WriteSession session, store_.begin_session());
  TRY_ASSIGN(auto tree, seal_generation(oldest, options));
  if (!tree) return SealEnd::kStopped;
  TRY(store_.chunks().sync());
  TRY(publish_seal(generation, *tree));
  return SealEnd::kDone;
}

// Of generations that the head names no longer: removes their files. What has been changed has been
// changed, whatever becomes of them: those that stay are removed when the disk is opened again.
// REQUIRES: seal_mutex_ is held.
void Disk::retire(const std::vector<std::shared_ptr<Generation>>& generations) {
  retired_.insert(retired_.end(), generations.begin(), generations.end());
  for (const auto& generation : generations) {
    auto removed = Generation::remove(*directory_, generation->number());
    if (removed.ok()) continue;
    store_.log(
        fmt::format("disk {}: a file that is not needed any more stays until the disk is "
                    "opened again: {}",
                    name_, describe(removed.error())));
  }
}

// Lets go of the generations that were dropped, when no request uses them any more. Whoever does it
// last frees the overlay's blocks, which can take seconds, and must not be a guest's request.
// REQUIRES: seal_mutex_ is held.
void Disk::bury(std::chrono::milliseconds at_most) {
  const auto deadline = LayersGate::Clock::now() + at_most;
  auto is_unused = [](const auto& generation) { return generation.use_count() == 1; };
  for (;;) {
    std::erase_if(retired_, is_unused);
    if (retired_.empty() || LayersGate::Clock::now() >= deadline) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

// Publishes `tree` as the head's root with all that waited for it; `sealed` is the oldest
// generation, or null where nothing was dirty. Requests that are still at the old root keep it
// pinned. REQUIRES: seal_mutex_ is held.
Result<void> Disk::publish_seal(const std::shared_ptr<Generation>& sealed, const Tree& tree) {
  for (;;) {
    TRY_ASSIGN(bool published, try_to_publish(sealed, tree));
    if (published) return {};
  }
}

// False: a cut has been recorded meanwhile, which must be made too. Records are put and synced
// before change_mutex_ is taken, which a guest's write may wait for.
Result<bool> Disk::try_to_publish(const std::shared_ptr<Generation>& sealed, const Tree& tree) {
  const auto begin = LayersGate::Clock::now();
  TRY_ASSIGN(const WriteSession session, store_.begin_session());
  TRY_ASSIGN(HeadRecord seen, read_head());
  TRY_ASSIGN(auto made, make_cuts(store_.chunks(), seen, name_, tree, sealed.get()));
  if (!made.empty()) TRY(store_.chunks().sync());
  if (sealed) TRY(layers()->pin->hold());
  std::unique_lock lock(change_mutex_);
  bool overtaken = false;
  auto publish = [&](CatalogWriter& writer, HeadRecord& head) -> Result<void> {
    overtaken = has_other_cuts(head, made, sealed.get());
    if (overtaken) return {};
    for (const MadeCut& cut : made) TRY(publish_cut(writer, head, cut));
    if (!sealed) return {};
    head.root = tree.root;
    CHECK(head.generations.front().number == sealed->number());
    head.generations.erase(head.generations.begin());
    return {};
  };
  TRY(sealed || !made.empty() ? update_head(publish) : reload_head());
  if (overtaken) return false;
  forget_group_cuts(begin);
  if (!made.empty() || sealed) note_publication(std::nullopt);
  if (!sealed) return true;
  Layers after = *layers();
  after.tree = tree;
  after.pin = std::make_shared<TreePin>(store_.views(), tree);
  after.generations.pop_back();
  gate_.set(std::move(after));
  lock.unlock();
  write_note();  // as long as what it names is there
  retire({sealed});
  return true;
}

bool Disk::wants_seal() const {
  return frozen_count() > 0 || !head().pending.empty() || has_lost_group_cut();
}

void Disk::wait_for_seal(std::chrono::milliseconds at_most) const {
  std::unique_lock lock(head_mutex_);
  sealed_.wait_for(lock, at_most,
                   [&, before = publication_count_] { return publication_count_ != before; });
}

void Disk::note_publication(std::optional<Error> failure) {
  {
    std::lock_guard lock(head_mutex_);
    seal_failure_ = std::move(failure);
    publication_count_++;
  }
  sealed_.notify_all();
}

// What comes after the cut of a group must not be published before the group is recorded.
bool Disk::is_kept_by_group(uint64_t generation) const {
  std::lock_guard lock(head_mutex_);
  const auto now = LayersGate::Clock::now();
  return std::any_of(group_cuts_.begin(), group_cuts_.end(), [&](const GroupCut& cut) {
    return generation > cut.generation && now < cut.until;
  });
}

// Those that had run out when the head was read, with their outcome.
void Disk::forget_group_cuts(LayersGate::Clock::time_point read_at) {
  std::lock_guard lock(head_mutex_);
  std::erase_if(group_cuts_, [&](const GroupCut& cut) { return read_at >= cut.until; });
}

// Whoever cut the group has died without a word: it may have been recorded.
bool Disk::has_lost_group_cut() const {
  std::lock_guard lock(head_mutex_);
  const auto now = LayersGate::Clock::now();
  return std::any_of(group_cuts_.begin(), group_cuts_.end(),
                     [&](const GroupCut& cut) { return now >= cut.until; });
}

Result<void> settle_disk(Store& store, const std::string& name, SealWhat what) {
  for (int tries = 1;; tries++) {
    auto disk = Disk::open(store, name, {});
    if (disk.ok()) {
      auto unseen = [](uint64_t) {};
      if (what == SealWhat::kAll) return disk.value()->seal_all(store.threads(), unseen);
      return disk.value()->seal(store.threads(), unseen);
    }
    if (disk.error().fault != Fault::kBusy || !store.options().ask_to_seal) return disk.error();
    TRY_ASSIGN(HeadRecord head, store.catalog().head(name));
    TRY_ASSIGN(auto holder, store.lease_holder(head.uid));
    Result<void> asked = std::move(disk.error());
    if (holder) asked = store.options().ask_to_seal(name, *holder, what);
    const bool is_gone = !holder || (!asked.ok() && asked.error().fault == Fault::kNotFound);
    if (!is_gone || tries == kMaxSettleTries) return asked;
    std::this_thread::sleep_for(kSettleTryEvery);
  }
}

}  // namespace casdisk
