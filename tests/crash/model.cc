#include "tests/crash/model.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "index/import_image.h"

namespace casdisk {
namespace {

bool contains(const std::map<uint64_t, std::vector<uint64_t>>& contents, uint64_t block,
              uint64_t hash) {
  auto found = contents.find(block);
  return found != contents.end() && std::ranges::count(found->second, hash) > 0;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

uint64_t blocks_for(uint64_t size_bytes) { return (size_bytes + kBlockBytes - 1) / kBlockBytes; }

}  // namespace

// As if the disk went on with zeros, so that a block is the same before and after a resize.
uint64_t DiskState::hash_of_block(const Bytes& bytes, uint64_t block) const {
  const uint64_t begin = block * kBlockBytes;
  Bytes content(kBlockBytes);
  if (begin < bytes.size()) {
    const uint64_t length = std::min<uint64_t>(kBlockBytes, bytes.size() - begin);
    std::memcpy(content.data(), &bytes[begin], length);
  }
  return std::hash<std::string_view>()(text_of(content));
}

void DiskState::before_change(uint64_t offset, uint64_t length) {
  for (uint64_t block = offset / kBlockBytes; block < blocks_for(offset + length); block++) {
    older_[block].push_back(hash_of_block(bytes_, block));
    allowed_.erase(block);
  }
}

void DiskState::write(uint64_t offset, std::span<const std::byte> from) {
  if (from.empty()) return;
  before_change(offset, from.size());
  std::memcpy(&bytes_[offset], from.data(), from.size());
}

void DiskState::zero_blocks(uint64_t offset, uint64_t length) {
  const uint64_t end = offset + length;
  const uint64_t from = blocks_for(offset) * kBlockBytes;
  const uint64_t to = end == bytes_.size() ? end : end / kBlockBytes * kBlockBytes;
  if (from < to) write(from, Bytes(to - from));
}

void DiskState::resize(uint64_t size_bytes) { bytes_.resize(size_bytes); }

void DiskState::replace(Bytes bytes) {
  bytes_ = std::move(bytes);
  older_.clear();
  allowed_.clear();
}

void DiskState::found(const Bytes& bytes, bool is_final) {
  if (!is_final) {
    for (const auto& [block, hashes] : allowed_) {
      auto& older = older_[block];
      older.insert(older.end(), hashes.begin(), hashes.end());
      older.push_back(hash_of_block(bytes_, block));
    }
    bytes_ = bytes;
    allowed_.clear();
  } else {
    replace(bytes);
  }
}

void DiskState::allow(const DiskState& other) {
  for (uint64_t block = 0; block < blocks_for(bytes_.size()); block++) {
    const uint64_t hash = hash_of_block(other.bytes_, block);
    if (hash != hash_of_block(bytes_, block)) allowed_[block].push_back(hash);
  }
}

std::optional<uint64_t> DiskState::wrong_block(const Bytes& bytes, bool after_power_cut) const {
  if (bytes.size() != bytes_.size()) return 0;
  for (uint64_t block = 0; block < blocks_for(bytes.size()); block++) {
    const uint64_t begin = block * kBlockBytes;
    const uint64_t length = std::min<uint64_t>(kBlockBytes, bytes.size() - begin);
    if (std::memcmp(&bytes[begin], &bytes_[begin], length) == 0) continue;
    const uint64_t hash = hash_of_block(bytes, block);
    if (contains(allowed_, block, hash)) continue;
    if (after_power_cut && contains(older_, block, hash)) continue;
    return block;
  }
  return std::nullopt;
}

bool Model::allows(const Step& step) const {
  if (step.action >= Action::kRestart) return true;
  auto found = disks.find(step.disk);
  if (step.action == Action::kCreate || step.action == Action::kImport) {
    return found == disks.end();
  }
  if (found == disks.end()) return false;
  const DiskModel& disk = found->second;
  const bool is_there = disk.checkpoints.contains(step.name);
  switch (step.action) {
    case Action::kWrite:
    case Action::kZero:
    case Action::kTrim:
      return step.offset + step.length <= disk.state.size_bytes();
    case Action::kCut:
    case Action::kCheckpoint:
      return !is_there;
    case Action::kRollback:
    case Action::kReadCheckpoint:
    case Action::kRemoveCheckpoint:
      return is_there;
    case Action::kFork:
      return (step.name.empty() || is_there) && !disks.contains(step.other);
    default:
      return true;
  }
}

void Model::apply(const Step& step) {
  if (step.action == Action::kCreate) {
    Bytes bytes(step.length);
    if (step.content == 1) {
      const Bytes base = fallback_bytes();
      std::copy_n(base.begin(), std::min(base.size(), bytes.size()), bytes.begin());
    }
    DiskModel made{DiskState(std::move(bytes)), {}};
    made.is_over_fallback = step.content == 1;
    disks.insert_or_assign(step.disk, std::move(made));
    return;
  }
  if (step.action == Action::kImport) {
    DiskModel made{DiskState(written_bytes(step)), {}};
    made.checkpoints[kImportCheckpoint] = std::make_shared<const Bytes>(made.state.bytes());
    disks.insert_or_assign(step.disk, std::move(made));
    return;
  }
  auto found = disks.find(step.disk);
  if (found == disks.end()) return;
  DiskModel& disk = found->second;
  switch (step.action) {
    case Action::kWrite:
      return disk.state.write(step.offset, written_bytes(step));
    case Action::kZero:
      return disk.state.write(step.offset, Bytes(step.length));
    case Action::kTrim:
      return disk.state.zero_blocks(step.offset, step.length);
    case Action::kFlush:
      return disk.state.flushed();
    case Action::kCut:
    case Action::kCheckpoint:
      disk.state.flushed();
      disk.checkpoints[step.name] = std::make_shared<const Bytes>(disk.state.bytes());
      return;
    case Action::kRollback:
      return disk.state.replace(*disk.checkpoints.at(step.name));
    case Action::kResize:
      if (step.length < disk.state.size_bytes()) disk.state.flushed();
      return disk.state.resize(step.length);
    case Action::kFork: {
      if (step.name.empty()) disk.state.flushed();
      DiskModel made{step.name.empty() ? DiskState(disk.state.bytes())
                                       : DiskState(*disk.checkpoints.at(step.name)),
                     {}};
      made.is_over_fallback = disk.is_over_fallback;
      disks.insert_or_assign(step.other, std::move(made));
      return;
    }
    case Action::kRemoveCheckpoint:
      disk.checkpoints.erase(step.name);
      return;
    case Action::kRemoveDisk:
      disks.erase(found);
      return;
    default:
      return;
  }
}

std::vector<Model> outcomes(const Model& before, const Step& struck) {
  Model after = before;
  after.apply(struck);
  switch (struck.action) {
    case Action::kWrite:
    case Action::kZero:
    case Action::kTrim: {
      Model either = before;
      either.disks.at(struck.disk).state.allow(after.disks.at(struck.disk).state);
      return {either};
    }
    case Action::kCreate:
    case Action::kCut:
    case Action::kCheckpoint:
    case Action::kRollback:
    case Action::kResize:
    case Action::kFork:
    case Action::kImport:
    case Action::kRemoveCheckpoint:
    case Action::kRemoveDisk:
      return {before, after};
    default:
      return {before};
  }
}

}  // namespace casdisk
