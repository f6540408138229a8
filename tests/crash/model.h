// The model that judges a store after a crash: what each block, checkpoint and disk may be.
//
// A disk is its bytes, as acknowledged, and for each block (4 KiB) the contents that it had since
// the last completed flush. After a process has died the bytes alone are right; after a power cut
// so is each of those contents, whole, block by block. A request that was struck may have happened
// or not: block by block where it writes, as a whole where it changes what disks and checkpoints
// there are.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/crash/script.h"

namespace casdisk {

class DiskState {
 public:
  explicit DiskState(Bytes bytes) : bytes_(std::move(bytes)) {}

  uint64_t size_bytes() const { return bytes_.size(); }
  const Bytes& bytes() const { return bytes_; }

  void write(uint64_t offset, std::span<const std::byte> from);
  void zero_blocks(uint64_t offset, uint64_t length);  // those that are whole
  void resize(uint64_t size_bytes);
  void flushed() { older_.clear(); }
  // It came to be what it holds otherwise than by writes of blocks; durable.
  void replace(Bytes bytes);
  // What was found is what it is from now on; `is_final`: also after another power cut.
  void found(const Bytes& bytes, bool is_final);
  // Each block may also be as in `other`.
  void allow(const DiskState& other);

  // The first block that may not be what it is; nothing: all is well. After a power cut, `bytes`
  // may be any of the older contents too.
  std::optional<uint64_t> wrong_block(const Bytes& bytes, bool after_power_cut) const;

 private:
  uint64_t hash_of_block(const Bytes& bytes, uint64_t block) const;
  void before_change(uint64_t offset, uint64_t length);

  Bytes bytes_;
  std::map<uint64_t, std::vector<uint64_t>> older_;    // block -> hashes
  std::map<uint64_t, std::vector<uint64_t>> allowed_;  // the same, also without a power cut
};

struct DiskModel {
  DiskState state;
  std::map<std::string, std::shared_ptr<const Bytes>> checkpoints;
  bool may_be_poisoned = false;   // a sync failed
  bool must_be_poisoned = false;  // and a flush said so: nobody may open it who does not accept it
  bool is_over_fallback = false;
};

struct Model {
  std::map<std::string, DiskModel> disks;

  // Whether the step makes sense: an accident may have taken what it is about.
  bool allows(const Step& step) const;
  // What the step does when it succeeds.
  void apply(const Step& step);
};

// What a store may be after a step was struck: one of these.
std::vector<Model> outcomes(const Model& before, const Step& struck);

}  // namespace casdisk
