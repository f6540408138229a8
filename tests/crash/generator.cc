#include "tests/crash/generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace casdisk {
namespace {

constexpr size_t kMaxDisks = 3;
constexpr size_t kMaxCheckpoints = 4;  // of a disk
constexpr uint64_t kMaxSizeBytes = 300'000;
constexpr uint64_t kMaxRequestBytes = 90'000;
constexpr uint64_t kContents = 40;  // few enough that chunks are stored twice

struct Weighted {
  Action action;
  uint64_t weight;
};
constexpr std::array kWeights = {
    Weighted{Action::kWrite, 30},         Weighted{Action::kZero, 6},
    Weighted{Action::kTrim, 6},           Weighted{Action::kRead, 8},
    Weighted{Action::kFlush, 14},         Weighted{Action::kCut, 6},
    Weighted{Action::kSeal, 5},           Weighted{Action::kCheckpoint, 4},
    Weighted{Action::kReadCheckpoint, 4}, Weighted{Action::kRollback, 4},
    Weighted{Action::kResize, 4},         Weighted{Action::kFork, 4},
    Weighted{Action::kCollect, 3},        Weighted{Action::kImport, 2},
    Weighted{Action::kIngest, 2},         Weighted{Action::kRemoveCheckpoint, 3},
    Weighted{Action::kRemoveDisk, 1},     Weighted{Action::kClose, 3},
    Weighted{Action::kRestart, 2},        Weighted{Action::kKill, 1},
    Weighted{Action::kCutPower, 1},       Weighted{Action::kCreate, 1}};

Action draw_action(Dice& dice) {
  uint64_t sum = 0;
  for (const Weighted& entry : kWeights) sum += entry.weight;
  uint64_t drawn = dice() % sum;
  for (const Weighted& entry : kWeights) {
    if (drawn < entry.weight) return entry.action;
    drawn -= entry.weight;
  }
  return Action::kFlush;
}

}  // namespace

Step Generator::request(Action action, const std::string& disk, uint64_t size_bytes) {
  Step step{action, disk};
  step.offset = dice_() % size_bytes;
  if (one_of(dice_, 2, 3)) step.offset = step.offset / kBlockBytes * kBlockBytes;
  step.length = 1 + dice_() % std::min(kMaxRequestBytes, size_bytes - step.offset);
  if (one_of(dice_, 2, 3)) {
    step.length = std::max<uint64_t>(1, step.length / kBlockBytes) * kBlockBytes;
    step.length = std::min(step.length, size_bytes - step.offset);
  }
  if (action == Action::kWrite) step.content = 1 + dice_() % kContents;
  return step;
}

Step Generator::of_checkpoint(Action action, const std::string& disk, const DiskModel& model) {
  if (model.checkpoints.empty()) return {Action::kFlush, disk};
  auto chosen = std::next(model.checkpoints.begin(), ptrdiff_t(dice_() % model.checkpoints.size()));
  return {action, disk, 0, 0, 0, chosen->first};
}

std::string Generator::fresh_name() { return fmt::format("{}{}", prefix_, ++name_count_); }

Step Generator::next(const Model& model) {
  const std::string fresh = fresh_name();
  Action action = draw_action(dice_);
  if (action >= Action::kRestart) return {action};
  const uint64_t size_bytes = 1 + dice_() % kMaxSizeBytes;
  if (model.disks.empty()) action = Action::kCreate;
  if (action == Action::kCreate && model.disks.size() < kMaxDisks) {
    return {Action::kCreate, fresh, 0, size_bytes, dice_() % 3};
  }
  if (action == Action::kImport && model.disks.size() < kMaxDisks) {
    return {Action::kImport, fresh, 0, size_bytes, 1 + dice_() % kContents};
  }
  auto chosen = std::next(model.disks.begin(), ptrdiff_t(dice_() % model.disks.size()));
  const auto& [disk, state] = *chosen;
  const bool has_many = state.checkpoints.size() >= kMaxCheckpoints;
  switch (action) {
    case Action::kWrite:
    case Action::kZero:
    case Action::kTrim:
      return request(action, disk, state.state.size_bytes());
    case Action::kCut:
    case Action::kCheckpoint:
      if (has_many) return of_checkpoint(Action::kRemoveCheckpoint, disk, state);
      return {action, disk, 0, 0, 0, fresh};
    case Action::kRollback:
    case Action::kReadCheckpoint:
    case Action::kRemoveCheckpoint:
      return of_checkpoint(action, disk, state);
    case Action::kResize:
      return {action, disk, 0, size_bytes};
    case Action::kFork: {
      if (model.disks.size() >= kMaxDisks) return {Action::kRemoveDisk, disk};
      Step step = of_checkpoint(Action::kFork, disk, state);
      if (one_of(dice_, 1, 2)) step = {Action::kFork, disk};
      if (step.action == Action::kFork) step.other = fresh;
      return step;
    }
    case Action::kIngest:
      return {state.is_over_fallback ? action : Action::kFlush, disk};
    case Action::kCreate:
    case Action::kImport:
      return {Action::kFlush, disk};
    default:
      return {action, disk};
  }
}

}  // namespace casdisk
