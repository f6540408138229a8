#include "tests/support/simulated_computer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace casdisk {
namespace {

constexpr uint64_t kMillion = 1'000'000;
constexpr uint64_t kFirstPagesBytes = 8192;
constexpr int64_t kPid = 4711;
constexpr uint64_t kMaxSleeps = 1'000'000;  // whoever sleeps so often waits for ever

Error process_is_over(const std::string& name) {
  return Error{Fault::kIo, EIO, name + ": the simulated process is over"};
}

class SimulatedMachine : public Machine {
 public:
  SimulatedMachine(SimulatedComputer& computer, SimulatedComputer::LifePointer life,
                   std::shared_ptr<FileSystem> files)
      : computer_(computer), life_(std::move(life)), files_(std::move(files)) {}

  Result<std::unique_ptr<LmdbEnvironment>> open_environment(const std::string& directory_path,
                                                            const LmdbOptions& options) override {
    TRY_ASSIGN(auto directory, files_->open_directory(directory_path));
    TRY_ASSIGN(auto file, directory->open("data.mdb", OpenMode::kCreateAny));
    TRY_ASSIGN(const uint64_t size_bytes, file->size());
    if (size_bytes == 0) TRY(file->resize(kFirstPagesBytes));
    TRY(file->sync());  // as each commit does
    TRY(directory->sync());
    TRY_ASSIGN(auto inode, computer_.find(directory_path + "/data.mdb"));
    return make_simulated_environment(computer_, life_, directory_path, std::move(inode),
                                      options.make_room);
  }

  Result<FileLock> lock(const std::string& path, const std::string& what,
                        const std::string& note) override {
    TRY(make_lock_file(path));
    if (is_locked(path) || share_count(path) > 0) return busy(what);
    auto lock = std::make_shared<SimulatedComputer::Lock>(SimulatedComputer::Lock{life_, note});
    computer_.locks()[path] = lock;
    return FileLock(std::shared_ptr<void>(std::move(lock)));
  }

  Result<std::optional<LockHolder>> lock_holder(const std::string& path) override {
    auto held = computer_.locks()[path].lock();
    if (!held || held->holder->is_over) return std::optional<LockHolder>();
    return std::optional(LockHolder{kPid, held->note});
  }

  Result<FileLock> share_lock(const std::string& path, const std::string& what) override {
    TRY(make_lock_file(path));
    if (is_locked(path)) return busy(what);
    auto lock = std::make_shared<SimulatedComputer::Lock>(SimulatedComputer::Lock{life_, ""});
    computer_.shared_locks()[path].push_back(lock);
    return FileLock(std::shared_ptr<void>(std::move(lock)));
  }

  Result<std::vector<int64_t>> lock_sharers(const std::string& path) override {
    return std::vector<int64_t>(share_count(path), kPid);
  }

  int64_t now_ns() override { return int64_t(computer_.now_ns()); }
  uint64_t random() override { return computer_.dice()(); }
  void sleep(std::chrono::milliseconds time) override { computer_.sleep(time); }

 private:
  Result<void> make_lock_file(const std::string& path) {
    const size_t slash = path.rfind('/');
    TRY_ASSIGN(auto directory, files_->open_directory(path.substr(0, std::max<size_t>(slash, 1))));
    TRY(directory->open(path.substr(slash + 1), OpenMode::kCreateAny));
    return {};
  }

  bool is_locked(const std::string& path) {
    auto held = computer_.locks()[path].lock();
    return held && !held->holder->is_over;
  }

  size_t share_count(const std::string& path) {
    auto& shared = computer_.shared_locks()[path];
    std::erase_if(shared, [](const auto& weak) {
      auto lock = weak.lock();
      return !lock || lock->holder->is_over;
    });
    return shared.size();
  }

  static Error busy(const std::string& what) {
    return {Fault::kBusy, 0, fmt::format("{} is busy: held by pid {}", what, kPid)};
  }

  SimulatedComputer& computer_;
  const SimulatedComputer::LifePointer life_;
  const std::shared_ptr<FileSystem> files_;
};

}  // namespace

SimulatedComputer::SimulatedComputer(uint64_t seed, uint64_t capacity_bytes)
    : dice_(seed), capacity_bytes_(capacity_bytes) {
  root_ = new_inode(true);
  boot_id_ = fmt::format("simulated-boot-{:032}", boot_count_);
}

std::unique_ptr<SimulatedComputer> SimulatedComputer::copy(uint64_t seed) {
  CHECK(lives_.empty());
  sync_tree(root_);
  auto other = std::make_unique<SimulatedComputer>(seed, capacity_bytes_);
  other->root_ = copy_tree(root_);
  std::vector<InodePointer> waiting = {other->root_};
  while (!waiting.empty()) {
    InodePointer inode = std::move(waiting.back());
    waiting.pop_back();
    other->inodes_.push_back(inode);
    for (const auto& [name, child] : inode->names.entries()) waiting.push_back(child);
  }
  other->last_inode_ = last_inode_;
  other->clock_ns_ = clock_ns_;
  other->boot_count_ = boot_count_;
  other->boot_id_ = boot_id_;
  other->mount_id_ = mount_id_;
  return other;
}

SimulatedComputer::Process SimulatedComputer::start_process() {
  auto life = std::make_shared<Life>();
  lives_.push_back(life);
  auto files = make_simulated_files(*this, life);
  return {files, std::make_shared<SimulatedMachine>(*this, life, files), life};
}

void SimulatedComputer::crash_at(uint64_t change, Crash crash, Moment moment) {
  crash_at_ = change == 0 ? 0 : counts_.changes + change;
  crash_ = crash;
  moment_ = moment;
  has_crashed_ = false;
}

void SimulatedComputer::end(const LifePointer& life) {
  for (SimulatedMapping* mapping : life->mappings) mapping->detach();
  life->is_over = true;
}

void SimulatedComputer::end_process(const Process& process) {
  if (process.life->is_over) return;
  end(process.life);
  std::erase(lives_, process.life);
  counts_.process_deaths++;
}

void SimulatedComputer::end_processes() {
  for (const LifePointer& life : lives_) end(life);
  counts_.process_deaths += lives_.size();
  lives_.clear();
}

void SimulatedComputer::cut_power() {
  for (const LifePointer& life : lives_) end(life);
  lives_.clear();
  counts_.power_cuts++;
  casdisk::cut_power(root_, dice_);
  mount_id_++;
  if (one_of(dice_, 1, 2)) boot_id_ = fmt::format("simulated-boot-{:032}", ++boot_count_);
  std::erase_if(inodes_, [](const auto& inode) { return inode.expired(); });
}

void SimulatedComputer::crash(const LifePointer& caller) {
  crash_at_ = 0;
  has_crashed_ = true;
  if (crash_ == Crash::kPowerFails) return cut_power();
  end(caller);
  std::erase(lives_, caller);
  counts_.process_deaths++;
}

std::optional<Error> SimulatedComputer::draw_error(Call call, const std::string& name) {
  const bool is_due = call != Call::kRead && counts_.changes == fail_at_;
  if (call == Call::kSync && (is_due || one_of(dice_, faults_.failed_sync, kMillion))) {
    counts_.failed_syncs++;
    return Error{Fault::kPoisoned, EIO, name + ": simulated failure of a sync"};
  }
  if (call == Call::kSync) return std::nullopt;
  if (is_due ? one_of(dice_, 1, 2) : one_of(dice_, faults_.io_error, kMillion)) {
    counts_.errors++;
    return os_error(EIO, name + ": simulated");
  }
  if (call == Call::kChange && (is_due || one_of(dice_, faults_.no_space, kMillion))) {
    counts_.errors++;
    return os_error(ENOSPC, name + ": simulated");
  }
  return std::nullopt;
}

Result<void> SimulatedComputer::operate(const LifePointer& life, Call call, const std::string& name,
                                        const Effect& effect, const Part& part) {
  if (life->is_over) return process_is_over(name);
  counts_.operations++;
  if (call != Call::kRead) counts_.changes++;
  if (traces_) {
    std::printf("    %6s %s\n", call == Call::kRead ? "" : std::to_string(counts_.changes).c_str(),
                name.c_str());
  }
  if (call != Call::kRead && counts_.changes == crash_at_) {
    if (traces_) std::printf("    ** struck\n");
    if (moment_ == Moment::kMiddle && call == Call::kChange) part();
    if (moment_ == Moment::kAfter) (void)effect().ok();
    crash(life);
    return process_is_over(name);
  }
  if (auto error = draw_error(call, name)) {
    part();
    return *error;
  }
  auto done = effect();
  if (turns_ != nullptr) turns_->maybe_pass();
  return done;
}

void SimulatedComputer::sleep(std::chrono::milliseconds time) {
  CHECK(++sleep_count_ < kMaxSleeps);
  clock_ns_ += uint64_t(time.count()) * 1'000'000;
  if (turns_ != nullptr) turns_->pass();
}

void SimulatedComputer::maybe_flip(const std::string& path, std::span<std::byte> bytes) {
  if (bytes.empty() || !one_of(dice_, faults_.flipped_bit, kMillion)) return;
  if (path.find(faults_.flips_only_in) == path.npos) return;
  counts_.flipped_bits++;
  bytes[dice_() % bytes.size()] ^= std::byte(1 << (dice_() % 8));
}

Result<InodePointer> SimulatedComputer::find(const std::string& path) {
  if (!path.starts_with('/')) return os_error(ENOENT, path);
  InodePointer inode = root_;
  for (size_t at = 1; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (end > at) inode = inode->names.find(path.substr(at, end - at));
    if (!inode) return os_error(ENOENT, path);
    at = end + 1;
  }
  return inode;
}

InodePointer SimulatedComputer::new_inode(bool is_directory) {
  auto inode = std::make_shared<SimulatedInode>();
  inode->number = ++last_inode_;
  inode->is_directory = is_directory;
  inode->mtime_ns = int64_t(now_ns());
  inodes_.push_back(inode);
  return inode;
}

uint64_t SimulatedComputer::free_bytes() const {
  uint64_t used_bytes = 0;
  for (const auto& weak : inodes_) {
    if (auto inode = weak.lock()) used_bytes += inode->bytes.allocated_bytes();
  }
  return used_bytes >= capacity_bytes_ ? 0 : capacity_bytes_ - used_bytes;
}

Result<void> SimulatedComputer::check_space(uint64_t more_pages, const std::string& path) {
  if (more_pages == 0 || more_pages * kSimulatedPageBytes <= free_bytes()) return {};
  return os_error(ENOSPC, path);
}

SimulatedMapping::SimulatedMapping(SimulatedComputer::LifePointer life, InodePointer inode)
    : life_(std::move(life)), inode_(std::move(inode)), length_(inode_->bytes.size_bytes()) {
  inode_->bytes.note_mapped();
  life_->mappings.insert(this);
}

std::span<std::byte> SimulatedMapping::bytes() {
  if (copy_) return *copy_;
  CHECK(inode_->bytes.size_bytes() >= length_);  // a store beyond the end would be SIGBUS
  return std::span(inode_->bytes.cache()).first(length_);
}

void SimulatedMapping::detach() {
  auto now = bytes();
  copy_.emplace(now.begin(), now.end());
}

}  // namespace casdisk
