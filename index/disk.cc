// A disk's life: opening and recovery, its snapshot of layers, changes of its head.
#include "index/disk.h"

#include <fmt/format.h>

#include <algorithm>

namespace casdisk {

Disk::Disk(Store& store, std::string name, FileLock lease)
    : store_(store), name_(std::move(name)), lease_(std::move(lease)) {}

Result<std::shared_ptr<Disk>> Disk::open(Store& store, const std::string& name,
                                         const DiskOptions& options) {
  TRY_ASSIGN(HeadRecord found, store.catalog().head(name));
  TRY_ASSIGN(FileLock lease, store.lease(name, found.uid));
  std::shared_ptr<Disk> disk(new Disk(store, name, std::move(lease)));
  // Under the lease nobody else changes the head; before, it may have been removed or made anew.
  TRY_ASSIGN(disk->head_, store.catalog().head(name));
  if (disk->head_.uid != found.uid) {
    return Error{Fault::kBusy, 0, fmt::format("disk {} was just replaced; try again", name)};
  }
  TRY(disk->recover(options));
  return disk;
}

Result<void> Disk::recover(const DiskOptions& options) {
  uid_ = head_.uid;
  size_bytes_ = head_.size_bytes;
  if (head_.poisoned && !options.accept_poison) {
    return Error{
        Fault::kPoisoned, 0,
        fmt::format("disk {}: an earlier sync failed, so writes since the last flush may be "
                    "lost. Look at the device, then see `casdisk accept --help`",
                    name_)};
  }
  TRY_ASSIGN(Layers layers, store_.sealed_layers(head_.root, size_bytes_, head_.fallback));
  TRY_ASSIGN(directory_, store_.disk_directory(uid_, false));
  if (!directory_ && !head_.generations.empty()) {
    return Error{Fault::kDamaged, 0,
                 fmt::format("disk {}: its directory {}/disks/{:08x} is missing", name_,
                             store_.path(), uid_)};
  }
  if (directory_) TRY(remove_leftovers(*directory_));
  for (uint64_t number : head_.generations) {
    auto generation = Generation::recover(place(), number, size_bytes_, options.accept_poison);
    if (!generation.ok()) {
      Error error = std::move(generation.error());
      if (error.fault == Fault::kNotFound) error.fault = Fault::kDamaged;  // the head names it
      error.context = fmt::format("disk {}: {}", name_, error.context);
      return error;
    }
    layers.generations.insert(layers.generations.begin(), std::move(generation).value());
  }
  layers.active = head_.active;
  set_layers(std::move(layers));
  return {};
}

// Files of generations that the head does not name: made and never recorded, or sealed and not yet
// removed.
Result<void> Disk::remove_leftovers(Directory& directory) {
  TRY_ASSIGN(auto names, directory.list());
  for (const std::string& name : names) {
    auto number = Generation::number_of(name);
    bool ours = number && std::find(head_.generations.begin(), head_.generations.end(), *number) !=
                              head_.generations.end();
    if (number && !ours) TRY(directory.remove(name));
  }
  return {};
}

GenerationPlace Disk::place() {
  return {&store_.file_system(), directory_.get(), [&store = store_] { return store.random(); }};
}

std::shared_ptr<const Layers> Disk::layers() const {
  std::shared_lock lock(layers_mutex_);
  return layers_;
}

void Disk::set_layers(Layers layers) {
  auto fresh = std::make_shared<const Layers>(std::move(layers));
  std::unique_lock lock(layers_mutex_);
  layers_ = std::move(fresh);
}

HeadRecord Disk::head() const {
  std::lock_guard lock(head_mutex_);
  return head_;
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

Result<void> Disk::start_generation() {
  std::lock_guard lock(change_mutex_);
  auto before = layers();
  if (before->active) return {};  // somebody else just did
  uint64_t number = 0;
  {
    std::lock_guard head_lock(head_mutex_);
    if (head_.generations.size() >= kMaxGenerations) {
      return Error{Fault::kBusy, 0,
                   fmt::format("disk {} has {} unsealed generations; let them be sealed first",
                               name_, head_.generations.size())};
    }
    number = head_.next_generation;
  }
  // Also when the directory is there: who made it may have ended before its name was synced.
  TRY_ASSIGN(auto directory, store_.disk_directory(uid_, true));
  if (!directory_) directory_ = std::move(directory);
  auto created = Generation::create(place(), number, size_bytes_);
  if (!created.ok()) {
    note_poison(created.error());
    return std::move(created.error());
  }
  auto generation = std::move(created).value();
  TRY(update_head([&](CatalogWriter&, HeadRecord& head) -> Result<void> {
    head.generations.push_back(number);
    head.next_generation = number + 1;
    head.active = true;
    return {};
  }));
  Layers after = *before;
  after.generations.insert(after.generations.begin(), std::move(generation));
  after.active = true;
  set_layers(std::move(after));
  return {};
}

}  // namespace casdisk
