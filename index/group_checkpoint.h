// A checkpoint of several disks at one moment: all of them or none.
//
//   prepare ─ hold ─ cut ─ flush ─ commit ─ finish      (each step for every member, side by side)
//
// Every member holds new writes; when all do, each cuts and lets writes go on; what was frozen is
// flushed; one transaction of the catalog records all pending checkpoints. The moment in which all
// hold is the checkpoint: a write that was acknowledged before any later write began is in it
// whenever the later one is. A member that does not answer in time ends its hold by itself, and
// the attempt with it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "index/disk.h"
#include "index/store.h"

namespace casdisk {

inline constexpr std::chrono::milliseconds kMaxHold{50};  // of writes, before all is given up
inline constexpr unsigned kMaxGroupAttempts = 10;

// A disk that takes part. Implementations: DiskCutMember (a disk of this process), and one over a
// server's control socket in nbd/. The steps of one member are called one after another, by one
// thread at a time.
class CutMember {
 public:
  virtual ~CutMember() = default;
  virtual const std::string& disk() const = 0;
  virtual Result<void> prepare() = 0;
  virtual Result<void> hold(std::chrono::milliseconds at_most) = 0;  // kBusy: another one lasts
  virtual Result<uint64_t> cut() = 0;  // gives the generation; kBusy: the hold was over
  virtual Result<void> flush() = 0;
  // Ends what was begun, whatever came of it: lets writes go on, or looks what was recorded.
  virtual Result<void> finish() = 0;
};

class DiskCutMember : public CutMember {
 public:
  explicit DiskCutMember(std::shared_ptr<Disk> disk) : disk_(std::move(disk)) {}
  const std::string& disk() const override { return disk_->name(); }
  Result<void> prepare() override { return disk_->prepare_cut(); }
  Result<void> hold(std::chrono::milliseconds at_most) override;
  Result<uint64_t> cut() override;
  Result<void> flush() override { return disk_->flush_cut(); }
  Result<void> finish() override;

 private:
  const std::shared_ptr<Disk> disk_;
  std::optional<LayersGate::Hold> hold_;  // not over, as far as we know
  std::optional<uint64_t> generation_;    // cut, and its outcome not told
};

// Records `request` as a pending checkpoint of every member, with the label group=NAME. Tries again
// when a hold was too short or met another group's. kExists: a member has that checkpoint; kBusy:
// no attempt came through; kInvalid: more labels than a checkpoint can have.
// Reports the longest hold of the attempt that did.
Result<std::chrono::microseconds> checkpoint_group(
    Store& store, const std::vector<std::unique_ptr<CutMember>>& members,
    const CutRequest& request);

}  // namespace casdisk
