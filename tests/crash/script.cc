#include "tests/crash/script.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "index/checkpoint_view.h"
#include "index/garbage_collection.h"
#include "index/import_image.h"
#include "index/lineage.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr std::array<const char*, 22> kActionNames = {
    "create",     "write",           "zero",     "trim",    "read", "flush",    "cut",    "seal",
    "checkpoint", "read checkpoint", "rollback", "resize",  "fork", "import",   "ingest", "collect",
    "rm chkpt",   "remove disk",     "close",    "restart", "kill", "cut power"};

// What is imported, in pieces.
class BytesSource : public ImageSource {
 public:
  explicit BytesSource(Bytes bytes) : bytes_(std::move(bytes)) {}

  std::optional<uint64_t> size_bytes() const override { return bytes_.size(); }
  Result<bool> next(ImagePiece& piece) override {
    if (at_ >= bytes_.size()) return false;
    const uint64_t length = std::min<uint64_t>(kChunkBytes, bytes_.size() - at_);
    piece = {at_, Bytes(bytes_.begin() + ptrdiff_t(at_), bytes_.begin() + ptrdiff_t(at_ + length))};
    at_ += length;
    return true;
  }
  Result<void> fetch(ImagePiece&) override { return {}; }
  Result<uint64_t> finish() override { return uint64_t(bytes_.size()); }

 private:
  const Bytes bytes_;
  uint64_t at_ = 0;
};

}  // namespace

std::string describe(const Step& step) {
  std::string text = fmt::format("{} {}", kActionNames[size_t(step.action)], step.disk);
  if (!step.name.empty()) text += "@" + step.name;
  if (!step.other.empty()) text += " " + step.other;
  if (step.length > 0) text += fmt::format(" {} bytes at {}", step.length, step.offset);
  if (step.content > 0) text += fmt::format(" of {}", step.content);
  return text;
}

// A third of them compresses, and every eighth is zeros; equal seeds are equal chunks.
Bytes written_bytes(const Step& step) {
  Bytes bytes(step.length);
  if (step.content % 8 == 0) return bytes;
  Dice dice(step.content);
  const uint64_t every = step.content % 3 == 0 ? 64 : 8;
  for (uint64_t at = 0; at < step.length; at += every) {
    const uint64_t word = dice();
    std::memcpy(&bytes[at], &word, std::min<uint64_t>(sizeof(word), step.length - at));
  }
  return bytes;
}

Bytes fallback_bytes() {
  Bytes bytes = random_bytes(77, kFallbackBytes);
  std::fill(bytes.begin() + 65'536, bytes.begin() + 90'000, std::byte(0));
  return bytes;
}

Result<std::unique_ptr<Worker>> Worker::start(SimulatedComputer& computer, Use use,
                                              SimulatedComputer::LifePointer* life) {
  std::unique_ptr<Worker> worker(new Worker(computer.start_process(), use));
  if (life != nullptr) *life = worker->process_.life;
  StoreOptions options;
  options.file_system = worker->process_.file_system;
  options.machine = worker->process_.machine;
  options.reserve_bytes = 0;
  options.threads = 1;
  options.write_behind = false;
  options.background_ingest = false;
  options.cache_bytes = 1 << 20;
  options.ask_to_seal = [worker = worker.get()](const std::string& name, const LockHolder&,
                                                SealWhat what) {
    return worker->seal_for_another(name, what);
  };
  TRY_ASSIGN(worker->store_, Store::open(kStorePath, options));
  return worker;
}

// What a server does when it is asked over its control socket.
Result<void> Worker::seal_for_another(const std::string& disk, SealWhat what) {
  auto open = disks_.find(disk);
  if (open == disks_.end()) return Error{Fault::kNotFound, 0, "nobody to ask"};
  if (what == SealWhat::kAll) return open->second->seal_all(1, no_progress);
  return open->second->seal(1, no_progress);
}

Worker::~Worker() {
  disks_.clear();
  store_.reset();
}

Result<std::shared_ptr<Disk>> Worker::disk(const std::string& name) {
  auto open = disks_.find(name);
  if (open != disks_.end()) return open->second;
  if (use_ == Use::kCommand) disks_.clear();
  TRY_ASSIGN(auto disk, Disk::open(*store_, name, DiskOptions{.is_served = use_ == Use::kServer}));
  disks_[name] = disk;
  return disk;
}

Result<void> Worker::perform(const Step& step, Bytes& read) {
  if (step.action == Action::kReadCheckpoint) return read_checkpoint(step, read);
  if (step.action > Action::kSeal || step.action == Action::kCreate) return change(step);
  TRY_ASSIGN(auto disk, this->disk(step.disk));
  switch (step.action) {
    case Action::kWrite:
      return disk->write(step.offset, written_bytes(step));
    case Action::kZero:
      return disk->zero(step.offset, step.length);
    case Action::kTrim:
      return disk->trim(step.offset, step.length);
    case Action::kRead:
      read.resize(disk->size_bytes());
      return disk->read(0, read);
    case Action::kFlush:
      return disk->flush();
    case Action::kCut:
      TRY(disk->make_room_for_cut(1, no_progress));
      return disk->cut({step.name, {}, {}});
    default:
      return disk->seal(1, no_progress);
  }
}

Result<void> Worker::change(const Step& step) {
  const bool stays_open = use_ == Use::kServer && disks_.contains(step.disk);
  if (use_ == Use::kCommand) disks_.clear();
  switch (step.action) {
    case Action::kCreate: {
      CreateOptions options{step.length, std::nullopt};
      if (step.content == 1) options.fallback = kFallbackPath;
      return create_disk(*store_, step.disk, options);
    }
    case Action::kCheckpoint: {
      if (!stays_open) {
        TRY(checkpoint_disk(*store_, step.disk, {step.name, {}, {}}, 1, no_progress));
        return {};
      }
      TRY(disks_[step.disk]->make_room_for_cut(1, no_progress));
      TRY(disks_[step.disk]->cut({step.name, {}, {}}));
      return disks_[step.disk]->seal(1, no_progress);
    }
    case Action::kRollback:
      return roll_back(step);
    case Action::kResize: {
      if (!stays_open) return resize_disk(*store_, step.disk, step.length, 1, no_progress);
      TRY(disks_[step.disk]->seal(1, no_progress));
      return disks_[step.disk]->resize(step.length, {});
    }
    case Action::kFork: {
      if (stays_open && step.name.empty()) return disks_[step.disk]->fork(step.other);
      return fork_disk(*store_, {step.disk, step.name}, step.other, std::nullopt);
    }
    case Action::kImport: {
      BytesSource source(written_bytes(step));
      return import_image(*store_, source, step.disk, 1, [](uint64_t) { return true; });
    }
    case Action::kIngest:
      return ingest_disk(*store_, step.disk, 1, no_progress);
    case Action::kCollect: {
      GcOptions options;
      options.min_garbage_percent = 0;
      uint64_t looks = 0;
      options.stop = [&] { return step.content > 0 && ++looks >= step.content; };
      TRY_ASSIGN(const GcReport report, collect_garbage(*store_, options));
      if (report.done.no_room) return *report.done.no_room;
      return report.done.failures.empty() ? Result<void>() : report.done.failures.front();
    }
    case Action::kRemoveCheckpoint:
      return remove_checkpoint(*store_, {step.disk, step.name});
    case Action::kRemoveDisk:
      disks_.erase(step.disk);
      return remove_disk(*store_, step.disk);
    case Action::kClose:
      disks_.erase(step.disk);
      return {};
    default:
      return Error{Fault::kInvalid, 0, "no step of a process: " + describe(step)};
  }
}

Result<void> Worker::read_checkpoint(const Step& step, Bytes& read) {
  disks_.erase(step.disk);  // it may be pending, and nobody else seals it
  TRY_ASSIGN(auto view, CheckpointView::open(*store_, {step.disk, step.name}));
  read.resize(view->size_bytes());
  return view->read(0, read);
}

Result<void> Worker::roll_back(const Step& step) {
  auto open = disks_.find(step.disk);
  if (open == disks_.end()) return rollback_disk(*store_, {step.disk, step.name});
  TRY(open->second->seal(1, no_progress));
  TRY_ASSIGN(FoundCheckpoint found, find_checkpoint(*store_, {step.disk, step.name}));
  return open->second->roll_back(found.id, found.record);
}

std::unique_ptr<SimulatedComputer> computer_with_store(uint64_t seed) {
  SimulatedComputer computer(seed);
  auto process = computer.start_process();
  auto root = must(process.file_system->open_directory("/"));
  must(root->make_directory("store"));
  must(must(root->open("base.img", OpenMode::kCreate))->write(0, fallback_bytes()));
  must(Store::init(kStorePath, Codec::kLz4, *process.file_system, *process.machine));
  computer.end_processes();
  return computer.copy(seed);
}

}  // namespace casdisk
