#include "nbd/exports.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <atomic>

#include "index/checkpoint_view.h"
#include "nbd/control/control_socket.h"
#include "nbd/size_text.h"

namespace casdisk {

// An export in use. `mutex` is held while its volume is opened or closed, so that whoever opens it
// again waits for the old one to be gone (a disk's lease excludes our own process too).
struct Exports::Slot {
  explicit Slot(std::string export_name) : name(std::move(export_name)) {}
  const std::string name;
  size_t users = 0;                   // guarded by Exports::mutex_
  size_t clients = 0;                 // of those; guarded by Exports::mutex_
  std::mutex mutex;                   // taken before Exports::mutex_
  std::shared_ptr<Volume> volume;     // guarded by mutex; stays as long as there is a user
  std::shared_ptr<Disk> disk;         // the same, unless it is a checkpoint
  std::atomic<bool> written = false;  // by this opening of it
  RequestCounters counters;
  RequestGate gate;
};

namespace {

std::string describe_disk(const HeadRecord& head, size_t checkpoint_count) {
  return fmt::format("{} disk, {}", size_text(head.size_bytes),
                     plural(checkpoint_count, "checkpoint"));
}

std::string describe_checkpoint(const CheckpointRecord& record) {
  std::time_t seconds = record.time_ns / 1'000'000'000;
  return fmt::format("{} checkpoint of {:%Y-%m-%d %H:%M:%S} UTC, read-only",
                     size_text(record.size_bytes), fmt::gmtime(seconds));
}

}  // namespace

const std::string& Exports::Handle::name() const { return slot_->name; }

Volume& Exports::Handle::volume() const { return *slot_->volume; }

Volume& Exports::Handle::volume_to_write() const {
  if (!slot_->written.load(std::memory_order_relaxed)) slot_->written = true;
  return *slot_->volume;
}

Disk* Exports::Handle::disk() const { return slot_->disk.get(); }

RequestCounters& Exports::Handle::counters() const { return slot_->counters; }

RequestGate& Exports::Handle::gate() const { return slot_->gate; }

size_t Exports::Handle::client_count() const {
  std::lock_guard lock(exports_.mutex_);
  return slot_->clients;
}

Result<std::unique_ptr<Exports>> Exports::open(const ExportsOptions& options) {
  std::unique_ptr<Exports> exports(new Exports(options.only));
  TRY_ASSIGN(exports->store_, Store::open(options.store_path, options.store));
  if (options.only) {
    TRY_ASSIGN(exports->held_, exports->open_export(options.only->text(), User::kService));
  }
  return exports;
}

Result<void> Exports::check(ExportsOptions options) {
  if (options.store.io == IoChoice::kAuto) {
    // Which one it becomes is decided, and said, when it counts.
    options.store.io = IoChoice::kPosix;
  }
  options.store.lease_note = kStartingNote;
  TRY_ASSIGN(auto exports, open(options));
  return {};
}

// At shutdown nbdkit does not close its handles: what they hold open is closed here.
Exports::~Exports() {
  held_.reset();
  for (auto& [name, slot] : slots_) close_volume(*slot);
}

Result<VolumeName> Exports::chosen(const std::string& name) const {
  if (only_ && (name.empty() || name == only_->text())) return *only_;
  if (name.empty()) {
    TRY_ASSIGN(std::string only_disk, default_name());
    return parse_volume_name(only_disk);
  }
  TRY_ASSIGN(VolumeName parsed, parse_volume_name(name));
  if (!only_) return parsed;
  // Which one that is, not everybody may know.
  return Error{Fault::kNotFound, 0,
               fmt::format("export {:?} is not served here: this server has one alone", name)};
}

Result<std::string> Exports::default_name(const DiskFilter& shown) const {
  if (only_ && shown(only_->disk)) return only_->text();
  std::vector<NamedHead> heads;
  if (!only_) {
    TRY(store_->catalog().view([&](CatalogReader& reader) -> Result<void> {
      TRY_ASSIGN(heads, reader.heads());
      return {};
    }));
  }
  std::erase_if(heads, [&](const NamedHead& head) { return !shown(head.name); });
  if (heads.size() == 1) return heads[0].name;
  return Error{Fault::kInvalid, 0,
               fmt::format("the client named no export, and this server has {}: name one, as in "
                           "nbd://HOST/DISK",
                           plural(heads.size(), "disk"))};
}

std::shared_ptr<Exports::Slot> Exports::enter(const std::string& name, User user) {
  std::lock_guard lock(mutex_);
  auto& slot = slots_[name];
  if (!slot) slot = std::make_shared<Slot>(name);
  slot->users++;
  if (user == User::kClient) slot->clients++;
  return slot;
}

Result<std::unique_ptr<Exports::Handle>> Exports::open_export(const std::string& name, User user) {
  TRY_ASSIGN(VolumeName wanted, chosen(name));
  auto slot = enter(wanted.text(), user);
  auto handle = std::make_unique<Handle>(*this, slot, user);
  std::lock_guard lock(slot->mutex);
  if (!slot->volume) TRY(open_volume(*slot, wanted));
  return handle;
}

std::vector<std::unique_ptr<Exports::Handle>> Exports::open_disks() {
  std::vector<std::unique_ptr<Handle>> handles;
  std::lock_guard lock(mutex_);
  for (auto& [name, slot] : slots_) {
    // Whoever opens or closes one right now takes its time: that one is left out. (A try cannot
    // deadlock, though it is the wrong order.)
    std::unique_lock slot_lock(slot->mutex, std::try_to_lock);
    if (!slot_lock.owns_lock() || !slot->disk) continue;
    slot->users++;
    handles.push_back(std::make_unique<Handle>(*this, slot, User::kService));
  }
  return handles;
}

// REQUIRES: slot.mutex.
Result<void> Exports::open_volume(Slot& slot, const VolumeName& name) {
  if (name.is_checkpoint()) {
    TRY_ASSIGN(slot.volume, CheckpointView::open(*store_, name));
    return {};
  }
  TRY_ASSIGN(slot.disk, Disk::open(*store_, name.disk, {.is_served = true}));
  slot.volume = slot.disk;
  return {};
}

// Not flushed when nothing was written: what an earlier process left unflushed may be much, and
// looking at a disk must be cheap.
void Exports::close_volume(Slot& slot) {
  if (slot.volume && slot.written.exchange(false)) {
    auto flushed = slot.disk ? slot.disk->flush_overlays() : slot.volume->flush();
    if (!flushed.ok()) store_->log(describe(flushed.error()));
  }
  slot.disk.reset();
  slot.volume.reset();
}

void Exports::leave(Slot& slot, User user) {
  std::lock_guard slot_lock(slot.mutex);
  {
    std::lock_guard lock(mutex_);
    if (user == User::kClient) slot.clients--;
    if (slot.users > 1) {
      slot.users--;
      return;
    }
  }
  // The last user. One that comes now waits for slot.mutex and opens the volume anew.
  close_volume(slot);
  std::lock_guard lock(mutex_);
  if (--slot.users == 0) slots_.erase(slot.name);
}

Result<std::vector<ExportLine>> Exports::list(const DiskFilter& shown) const {
  std::vector<ExportLine> disks, checkpoints;
  TRY(store_->catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(auto heads, reader.heads());
    for (const auto& [disk, head] : heads) {
      if ((only_ && only_->disk != disk) || !shown(disk)) continue;
      if (disks.size() + checkpoints.size() >= kMaxListedExports) break;
      TRY_ASSIGN(auto named, reader.checkpoints(head.uid));
      disks.push_back({disk, describe_disk(head, named.size())});
      for (const auto& [name, id] : named) {
        if (disks.size() + checkpoints.size() >= kMaxListedExports) break;
        TRY_ASSIGN(auto record, reader.checkpoint(id));
        checkpoints.push_back({VolumeName{disk, name}.text(), describe_checkpoint(record)});
      }
    }
    return {};
  }));
  disks.insert(disks.end(), checkpoints.begin(), checkpoints.end());
  if (only_) std::erase_if(disks, [&](const auto& line) { return line.name != only_->text(); });
  return disks;
}

Result<std::string> Exports::description(const std::string& name) const {
  TRY_ASSIGN(VolumeName wanted, chosen(name));
  std::string text;
  TRY(store_->catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(HeadRecord head, reader.head(wanted.disk));
    if (!wanted.is_checkpoint()) {
      TRY_ASSIGN(auto named, reader.checkpoints(head.uid));
      text = describe_disk(head, named.size());
      return {};
    }
    TRY_ASSIGN(auto id, reader.find_checkpoint(head.uid, wanted.checkpoint));
    if (!id) return Error{Fault::kNotFound, 0, "no checkpoint " + wanted.text()};
    TRY_ASSIGN(auto record, reader.checkpoint(*id));
    text = describe_checkpoint(record);
    return {};
  }));
  return text;
}

}  // namespace casdisk
