#include "tests/crash/lane.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>

#include "tests/crash/options.h"

namespace casdisk {
namespace {

constexpr uint64_t kMaxDisks = 4;
constexpr uint64_t kWholeContents = 4;  // of chunks that are written as a whole: most are there
constexpr uint64_t kChunkBytesOfWrite = 65'536;

}  // namespace

void Board::add(const std::string& disk, const DiskModel& model) {
  for (const auto& [name, bytes] : model.checkpoints) {
    checkpoints[{disk, name}] = {bytes, model.is_over_fallback, false};
  }
}

void Board::note_removal(const Step& step) {
  const bool all = step.action == Action::kRemoveDisk;
  if (!all && step.action != Action::kRemoveCheckpoint) return;
  for (auto& [key, checkpoint] : checkpoints) {
    checkpoint.may_be_gone |= key.first == step.disk && (all || key.second == step.name);
  }
}

Lane::Lane(SimulatedComputer& computer, Board& board, Totals& totals, uint64_t seed,
           std::string name, Model own)
    : computer_(computer),
      board_(board),
      totals_(totals),
      name_(std::move(name)),
      use_(seed % 2 == 0 ? Use::kServer : Use::kCommand),
      generator_(seed, name_),
      model_(std::move(own)) {}

void Lane::play(unsigned step_count) {
  for (unsigned i = 0; i < step_count && goes_on(); i++) step();
  restart();
  worlds_.push_back({model_});
}

bool Lane::goes_on() const {
  const bool has_no_power = computer_.has_crashed() && board_.planned == Crash::kPowerFails;
  return board_.failure.empty() && !has_no_power;
}

bool Lane::is_struck() const { return life_ && life_->is_over; }

void Lane::fail(const std::string& what, const std::string& why) {
  if (board_.failure.empty()) board_.failure = fmt::format("{}: {}: {}", name_, what, why);
}

// The process is over. What it left nobody touches from now on.
void Lane::ended(std::vector<Model> worlds) {
  view_.reset();
  worker_.reset();
  life_.reset();
  worlds_.push_back(std::move(worlds));
  model_ = {};
}

bool Lane::start_worker() {
  if (worker_) return true;
  auto worker = Worker::start(computer_, use_, &life_);
  if (is_struck()) {
    worker = Error{};
    ended({model_});
    return false;
  }
  if (!worker.ok()) {
    fail("opening the store", describe(worker.error()));
    return false;
  }
  worker_ = std::move(worker).value();
  return true;
}

// Ends the process in order.
void Lane::restart() {
  view_.reset();
  if (!worker_) return;
  const SimulatedComputer::Process process = worker_->process();
  worker_.reset();
  if (is_struck()) return ended({model_});
  computer_.end_process(process);
  life_.reset();
}

void Lane::step() {
  if (!start_worker()) return;
  totals_.steps++;
  Dice& dice = generator_.dice();
  switch (dice() % 8) {
    case 0:
      return perform_on_other();
    case 1:
      return look_at_view();
    case 2: {  // sometimes it is stopped on its way
      const uint64_t looks = one_of(dice, 1, 4) ? 1 + dice() % 8 : 0;
      return perform({Action::kCollect, "", 0, 0, looks});
    }
    default:
      return perform(next());
  }
}

// Chunks that are written as a whole have few contents: what is put is there, or was and is
// garbage.
Step Lane::next() {
  Step step = generator_.next(model_);
  Dice& dice = generator_.dice();
  if (step.action == Action::kWrite && one_of(dice, 1, 2)) {
    const uint64_t size_bytes = model_.disks.at(step.disk).state.size_bytes();
    step.offset = step.offset / kChunkBytesOfWrite * kChunkBytesOfWrite;
    step.length = std::min(kChunkBytesOfWrite, size_bytes - step.offset);
    step.content = 1 + dice() % kWholeContents;
  }
  return step;
}

void Lane::perform(const Step& step) {
  if (crash_options().traces) std::printf("%s: %s\n", name_.c_str(), describe(step).c_str());
  if (!model_.allows(step) && step.action != Action::kCollect) return;
  if (step.action == Action::kRestart) return restart();
  if (step.action == Action::kKill) {
    computer_.end_process(worker_->process());
    return ended({model_});
  }
  if (step.action == Action::kCutPower) return;  // is planned, for all
  board_.note_removal(step);
  Bytes read;
  auto done = worker_->perform(step, read);
  if (is_struck()) return ended(outcomes(model_, step));
  if (!done.ok()) {
    const Error& error = done.error();
    const bool is_collection = step.action == Action::kCollect;
    if (is_collection && error.fault == Fault::kBusy) return;
    if (is_collection && step.content > 0 && error.os_error == EINTR) return;
    return fail(describe(step), describe(error));
  }
  if (step.action == Action::kRead) {
    check_read(step, model_.disks.at(step.disk).state.bytes(), read);
  }
  if (step.action == Action::kReadCheckpoint) {
    check_read(step, *model_.disks.at(step.disk).checkpoints.at(step.name), read);
  }
  model_.apply(step);
  if (step.action == Action::kCheckpoint || step.action == Action::kImport)
    board_.add(step.disk, model_.disks.at(step.disk));
}

void Lane::check_read(const Step& step, const Bytes& wanted, const Bytes& read) {
  if (auto block = DiskState(wanted).wrong_block(read, false)) {
    fail(describe(step), fmt::format("block {} has a content that it does not have", *block));
  }
}

std::map<std::pair<std::string, std::string>, Board::Sealed>::iterator Lane::draw_other() {
  if (board_.checkpoints.empty()) return board_.checkpoints.end();
  const uint64_t drawn = generator_.dice()() % board_.checkpoints.size();
  return std::next(board_.checkpoints.begin(), ptrdiff_t(drawn));
}

// Reads or forks a checkpoint, of whomever.
void Lane::perform_on_other() {
  auto chosen = draw_other();
  if (chosen == board_.checkpoints.end()) return;
  const auto& [disk, name] = chosen->first;
  Step step{Action::kReadCheckpoint, disk, 0, 0, 0, name};
  if (model_.disks.size() < kMaxDisks && one_of(generator_.dice(), 1, 2)) {
    step.action = Action::kFork;
    step.other = generator_.fresh_name();
  }
  if (crash_options().traces) std::printf("%s: %s\n", name_.c_str(), describe(step).c_str());
  Model after = model_;
  if (step.action == Action::kFork) {
    DiskModel made{DiskState(*chosen->second.bytes), {}};
    made.is_over_fallback = chosen->second.is_over_fallback;
    after.disks.insert_or_assign(step.other, std::move(made));
  }
  Bytes read;
  auto done = worker_->perform(step, read);
  if (is_struck()) return ended({model_, after});
  if (!done.ok()) {
    const bool is_gone = chosen->second.may_be_gone && done.error().fault == Fault::kNotFound;
    if (!is_gone) fail(describe(step), describe(done.error()));
    return;
  }
  if (step.action == Action::kReadCheckpoint) check_read(step, *chosen->second.bytes, read);
  model_ = std::move(after);
}

// It stays open over other steps, and is read to its end whatever becomes of its checkpoint.
void Lane::look_at_view() {
  const Step step{Action::kReadCheckpoint, "a view"};
  if (!view_) {
    auto chosen = draw_other();
    if (chosen == board_.checkpoints.end()) return;
    const auto& [disk, name] = chosen->first;
    auto view = CheckpointView::open(worker_->store(), {disk, name});
    if (is_struck()) {
      view = Error{};
      return ended({model_});
    }
    if (!view.ok()) {
      const bool is_gone = chosen->second.may_be_gone && view.error().fault == Fault::kNotFound;
      if (!is_gone) fail("viewing " + disk + "@" + name, describe(view.error()));
      return;
    }
    view_ = std::move(view).value();
    view_bytes_ = *chosen->second.bytes;
    return;
  }
  Bytes read(view_->size_bytes());
  auto done = view_->read(0, read);
  if (is_struck()) return ended({model_});
  if (!done.ok()) return fail(describe(step), describe(done.error()));
  check_read(step, view_bytes_, read);
  if (one_of(generator_.dice(), 1, 2)) view_.reset();
  if (is_struck()) ended({model_});
}

std::vector<Model> together(const std::vector<std::unique_ptr<Lane>>& lanes) {
  std::vector<Model> all = {{}};
  for (const auto& lane : lanes) {
    for (const auto& worlds : lane->worlds()) {
      std::vector<Model> more;
      for (const Model& before : all) {
        for (const Model& world : worlds) {
          more.push_back(before);
          more.back().disks.insert(world.disks.begin(), world.disks.end());
        }
      }
      all = std::move(more);
    }
  }
  return all;
}

}  // namespace casdisk
