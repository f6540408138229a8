#include "nbd/background_seal.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cas/os/parallel.h"
#include "cas/os/thread_priority.h"

namespace casdisk {
namespace {

// After a seal that somebody in a hurry has taken over.
constexpr std::chrono::milliseconds kAfterHurry{100};

// A device that is full or away may come back. What is damaged or poisoned needs an operator, who
// needs the disk: it is not held open for trying again.
bool may_pass(const Error& error) {
  return error.fault != Fault::kPoisoned && error.fault != Fault::kDamaged;
}

}  // namespace

BackgroundSealer::BackgroundSealer(Exports& exports, const BackgroundSealOptions& options)
    : exports_(exports), options_(options) {
  if (auto thread = start_thread([this] { run(); })) {
    thread_ = std::move(*thread);
  } else {
    exports_.store().log("no thread for sealing in the background: it is left to who needs it");
  }
}

BackgroundSealer::~BackgroundSealer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void BackgroundSealer::add(std::shared_ptr<Exports::Handle> handle) {
  {
    std::lock_guard lock(mutex_);
    if (!thread_.joinable()) return;
    added_.push_back(std::move(handle));
  }
  woken_.notify_all();
}

std::optional<uint64_t> BackgroundSealer::sealed_bytes(const std::string& disk) const {
  std::lock_guard lock(mutex_);
  if (sealing_ != disk) return std::nullopt;
  return sealed_bytes_;
}

bool BackgroundSealer::is_stopping() const {
  std::lock_guard lock(mutex_);
  return stopping_;
}

void BackgroundSealer::run() {
  give_way_to_others();
  while (!is_stopping()) {
    const Clock::duration rest = work();
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, rest, [&] { return stopping_ || !added_.empty(); });
  }
  watches_.clear();
}

// One round over everything. Gives the time until the next.
BackgroundSealer::Clock::duration BackgroundSealer::work() {
  take_added();
  look_at_open_disks();
  Clock::duration rest = options_.look_every;
  for (auto& [name, watch] : watches_) {
    if (is_stopping()) break;
    if (!watch.handle) continue;
    if (watch.retry_at <= Clock::now()) seal(name, watch);
    if (watch.handle) rest = std::min(rest, watch.retry_at - Clock::now());
  }
  return std::max<Clock::duration>(rest, std::chrono::milliseconds(1));
}

void BackgroundSealer::take_added() {
  std::vector<std::shared_ptr<Exports::Handle>> added;
  {
    std::lock_guard lock(mutex_);
    added.swap(added_);
  }
  for (auto& handle : added) {
    Watch& watch = watches_[handle->name()];
    watch.last_written = Clock::now();
    watch.prepares_cuts = true;
    if (!watch.handle) watch.handle = std::move(handle);
  }
}

// A disk that was closed is forgotten: another opening of it begins anew.
void BackgroundSealer::look_at_open_disks() {
  std::set<std::string> open;
  for (auto& handle : exports_.open_disks()) {
    const std::string name = handle->name();
    open.insert(name);
    auto [found, is_new] = watches_.try_emplace(name);
    if (is_new) found->second.last_written = Clock::now();
    look(std::move(handle), found->second);
  }
  std::erase_if(watches_, [&](const auto& watch) {
    return !watch.second.handle && open.count(watch.first) == 0;
  });
}

void BackgroundSealer::look(std::shared_ptr<Exports::Handle> handle, Watch& watch) {
  Disk& disk = *handle->disk();
  if (disk.take_written()) {
    watch.last_written = Clock::now();
    watch.written = true;
  }
  if (watch.handle || watch.retry_at > Clock::now()) return;
  if (!disk.wants_seal() && wants_cut(disk, watch)) {
    watch.written = false;
    auto cut = disk.cut({});
    if (!cut.ok()) return after_error(handle->name(), watch, cut.error());
  }
  if (disk.wants_seal()) watch.handle = std::move(handle);
}

bool BackgroundSealer::wants_cut(Disk& disk, const Watch& watch) const {
  const bool is_idle = options_.idle.count() > 0 && watch.written &&
                       Clock::now() - watch.last_written >= options_.idle;
  const bool is_large = options_.overlay_limit_bytes > 0 &&
                        disk.seal_status().active_bytes >= options_.overlay_limit_bytes;
  return (is_idle || is_large) && disk.has_room_for_cut();
}

void BackgroundSealer::seal(const std::string& name, Watch& watch) {
  Disk& disk = *watch.handle->disk();
  {
    std::lock_guard lock(mutex_);
    sealing_ = name;
    sealed_bytes_ = 0;
  }
  SealOptions options;
  options.threads = std::max(1u, core_count() / 2);
  options.urgency = Urgency::kBackground;
  options.stop = [this] { return is_stopping(); };
  options.progress = [this](uint64_t bytes) {
    std::lock_guard lock(mutex_);
    sealed_bytes_ = std::max(sealed_bytes_, bytes);
  };
  auto end = disk.seal(options);
  {
    std::lock_guard lock(mutex_);
    sealing_.clear();
  }
  if (!end.ok()) return after_error(name, watch, end.error());
  watch.retry_at = Clock::now() + kAfterHurry;
  if (end.value() == SealEnd::kStopped || disk.wants_seal()) return;
  watch.next_wait = kFirstRetry;
  watch.logged.clear();
  // What fails here fails again at the next cut, where somebody is told.
  if (watch.prepares_cuts) (void)disk.prepare_cut().ok();
  watch.handle.reset();
}

void BackgroundSealer::after_error(const std::string& name, Watch& watch, const Error& error) {
  const std::string text = describe(error);
  if (text != watch.logged) {
    exports_.store().log(
        fmt::format("sealing disk {} in the background: {}; it is tried again", name, text));
  }
  watch.logged = text;
  watch.retry_at = Clock::now() + watch.next_wait;
  watch.next_wait = std::min(watch.next_wait * 2, kMostRetry);
  if (!may_pass(error)) watch.handle.reset();
}

}  // namespace casdisk
