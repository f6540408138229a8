// A disk's life: opening and recovery, and changes of its head's record.
#include "index/disk.h"

#include <fmt/format.h>

#include <algorithm>

#include "index/head_note.h"
#include "index/lineage.h"
#include "index/store_format.h"

namespace casdisk {
namespace {

// The source of a fork, as its disk is called now.
Result<std::string> disk_of_uid(Store& store, uint64_t uid) {
  std::vector<NamedHead> heads;
  TRY(store.catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(heads, reader.heads());
    return {};
  }));
  auto found = std::find_if(heads.begin(), heads.end(),
                            [&](const NamedHead& named) { return named.head.uid == uid; });
  if (found != heads.end()) return found->name;
  return Error{Fault::kDamaged, 0,
               fmt::format("the disk {} that it was forked of is gone", uid_name(uid))};
}

// Waits until the seal of its source has given a fork its root.
Result<void> settle_origin(Store& store, const std::string& name) {
  TRY_ASSIGN(HeadRecord head, store.catalog().head(name));
  if (!head.origin) return {};
  auto source = disk_of_uid(store, head.origin->disk_uid);
  auto settled = source.ok() ? settle_disk(store, source.value(), SealWhat::kFrozen)
                             : Result<void>(std::move(source.error()));
  // It may have been settled by others in the meantime, whatever came of our own try.
  TRY_ASSIGN(head, store.catalog().head(name));
  if (!head.origin) return {};
  if (settled.ok()) settled = Error{Fault::kDamaged, 0, "its source has no cut for it any more"};
  settled.error().context = fmt::format("fork {}: {}", name, settled.error().context);
  return settled;
}

}  // namespace

Disk::Disk(Store& store, std::string name, FileLock lease, const DiskOptions& options)
    : store_(store), name_(std::move(name)), lease_(std::move(lease)), options_(options) {}

Result<std::shared_ptr<Disk>> Disk::open(Store& store, const std::string& name,
                                         const DiskOptions& options) {
  TRY(settle_origin(store, name));
  TRY_ASSIGN(HeadRecord found, store.catalog().head(name));
  TRY_ASSIGN(FileLock lease, store.lease(name, found.uid));
  std::shared_ptr<Disk> disk(new Disk(store, name, std::move(lease), options));
  // Under the lease nobody else changes the head; before, it may have been removed or made anew.
  TRY_ASSIGN(disk->head_, store.catalog().head(name));
  if (disk->head_.uid != found.uid || disk->head_.origin) {
    return Error{Fault::kBusy, 0, fmt::format("disk {} was just replaced; try again", name)};
  }
  TRY(disk->recover());
  return disk;
}

Result<void> Disk::recover() {
  uid_ = head_.uid;
  if (head_.poisoned && !options_.accept_poison) {
    return Error{
        Fault::kPoisoned, 0,
        fmt::format("disk {}: an earlier sync failed, so writes since the last flush may be "
                    "lost. Look at the device, then see `casdisk accept --help`",
                    name_)};
  }
  auto sealed = store_.sealed_layers(head_.root, head_.size_bytes, head_.fallback);
  if (!sealed.ok()) {
    sealed.error().context = fmt::format("disk {}: {}", name_, sealed.error().context);
    return std::move(sealed.error());
  }
  Layers layers = std::move(sealed).value();
  TRY_ASSIGN(directory_, store_.disk_directory(uid_, false));
  if (!directory_ && !head_.generations.empty()) {
    return Error{Fault::kDamaged, 0,
                 fmt::format("disk {}: its directory {}/disks/{} is missing", name_, store_.path(),
                             uid_name(uid_))};
  }
  if (directory_) TRY(remove_leftovers(*directory_));
  TRY_ASSIGN(const bool is_needless, is_directory_needless());
  if (is_needless && store_.remove_disk_directory(uid_).ok()) directory_.reset();
  for (const HeadGeneration& made : head_.generations) {
    auto generation =
        Generation::recover(place(), made.number, made.size_bytes, options_.accept_poison);
    if (!generation.ok()) {
      Error error = std::move(generation.error());
      if (error.fault == Fault::kNotFound) error.fault = Fault::kDamaged;  // the head names it
      error.context = fmt::format("disk {}: {}", name_, error.context);
      return error;
    }
    layers.generations.insert(layers.generations.begin(), std::move(generation).value());
  }
  layers.active = head_.active;
  if (directory_) write_note();
  gate_.set(std::move(layers));
  return {};
}

// Without generations it is kept for its note, where that says more than the parent's record does.
// One that has no note is made anew: who made it may not have synced its name, or in vain.
Result<bool> Disk::is_directory_needless() {
  if (!directory_ || !head_.generations.empty()) return false;
  auto note = read_head_note(*directory_);
  if (!note.ok() || !note.value()) return true;
  if (!head_.parent) return false;
  TRY_ASSIGN(const CheckpointRecord parent, store_.catalog().checkpoint(*head_.parent));
  return content_of(head_) == content_of(*head_.parent, parent);
}

// Files of generations that the head does not name: made and never recorded, or sealed and not yet
// removed.
Result<void> Disk::remove_leftovers(Directory& directory) {
  TRY_ASSIGN(auto names, directory.list());
  for (const std::string& name : names) {
    auto number = Generation::number_of(name);
    bool ours = number && std::any_of(head_.generations.begin(), head_.generations.end(),
                                      [&](const auto& made) { return made.number == *number; });
    if (number && !ours) TRY(directory.remove(name));
  }
  return {};
}

GenerationPlace Disk::place() {
  return {&store_.file_system(), directory_.get(), [&store = store_] { return store.random(); },
          store_.write_behind(), &store_.reserve()};
}

HeadRecord Disk::head() const {
  std::lock_guard lock(head_mutex_);
  return head_;
}

Result<HeadRecord> Disk::read_head() const {
  TRY_ASSIGN(HeadRecord fresh, store_.catalog().head(name_));
  if (fresh.uid == uid_) return fresh;
  return Error{Fault::kNotFound, 0, fmt::format("disk {} was removed", name_)};
}

// REQUIRES: change_mutex_ is held.
Result<void> Disk::update_head(
    const std::function<Result<void>(CatalogWriter&, HeadRecord&)>& change) {
  HeadRecord fresh;
  TRY(store_.catalog().update([&](CatalogWriter& writer) -> Result<void> {
    TRY_ASSIGN(fresh, writer.head(name_));
    if (fresh.uid != uid_) {
      return Error{Fault::kNotFound, 0, fmt::format("disk {} was removed", name_)};
    }
    TRY(change(writer, fresh));
    return writer.put_head(name_, fresh);
  }));
  std::lock_guard lock(head_mutex_);
  head_ = std::move(fresh);
  return {};
}

// The copy beside the generations, for the day that the catalog is lost (head_note.h). The head is
// changed whatever becomes of it. REQUIRES: there is a directory of generations.
void Disk::write_note() {
  std::lock_guard lock(note_mutex_);
  HeadNote note{name_, head(), std::nullopt};
  note.head.version = 0;  // counts what does not concern the note, too
  auto written = [&]() -> Result<void> {
    if (note.head.fallback) {
      TRY(store_.catalog().view([&](CatalogReader& reader) -> Result<void> {
        TRY_ASSIGN(note.fallback, reader.find_fallback(note.head.fallback->file));
        return {};
      }));
    }
    auto present = read_head_note(*directory_);
    const bool is_same =
        present.ok() && present.value() && encode(*present.value()) == encode(note);
    if (is_same) return {};
    return with_reserve(&store_.reserve(), [&] { return write_head_note(*directory_, note); });
  }();
  if (!written.ok()) {
    store_.log(fmt::format("disk {}: the note of its head is not up to date: {}", name_,
                           describe(written.error())));
  }
}

// Others add to the pending checkpoints (group_checkpoint.h), and nothing else. REQUIRES:
// change_mutex_ is held.
Result<void> Disk::reload_head() {
  TRY_ASSIGN(HeadRecord fresh, read_head());
  std::lock_guard lock(head_mutex_);
  head_ = std::move(fresh);
  return {};
}

// REQUIRES: change_mutex_ is held. After a failed sync nothing more is promised, by this process or
// by the next, until the operator decides.
void Disk::note_poison(const Error& error) {
  if (error.fault != Fault::kPoisoned || poisoned_.exchange(true)) return;
  auto recorded = update_head([](CatalogWriter&, HeadRecord& head) -> Result<void> {
    head.poisoned = true;
    return {};
  });
  // A generation's map remembers it too, though not across a reboot.
  if (!recorded.ok()) store_.log(describe(recorded.error()));
}

Result<void> Disk::check_not_poisoned() const {
  if (!poisoned_.load(std::memory_order_relaxed)) return {};
  return Error{Fault::kPoisoned, 0,
               fmt::format("disk {}: an earlier sync failed; it takes no more writes (see `casdisk "
                           "accept --help`)",
                           name_)};
}

uint64_t Disk::dirty_bytes() const {
  uint64_t bytes = 0;
  for (const auto& generation : layers()->generations) {
    auto allocated = generation->allocated_bytes();
    if (allocated.ok()) bytes += allocated.value();
  }
  return bytes;
}

}  // namespace casdisk
