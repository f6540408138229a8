// A checkpoint of several disks at one moment: all of them or none.
//
//   prepare ─ hold ─ cut ─ flush ─ commit ─ reload      (each step for every member, side by side)
//
// Every member holds new writes; when all do, each cuts and lets writes go on; what was frozen is
// flushed; one transaction of the catalog records all pending checkpoints. The moment in which all
// hold is the checkpoint: a write that was acknowledged before any later write began is in it
// whenever the later one is. A member that does not answer in time ends its hold by itself, and
// the attempt with it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "index/disk.h"
#include "index/store.h"

namespace casdisk {

inline constexpr std::chrono::milliseconds kMaxHold{50};  // of writes, before all is given up
inline constexpr unsigned kMaxGroupAttempts = 10;

// A disk that takes part. Implementations: DiskCutMember (a disk of this process), and one over a
// server's control socket in nbd/. The steps of one member are called one after another.
class CutMember {
 public:
  virtual ~CutMember() = default;
  virtual const std::string& disk() const = 0;
  virtual Result<void> prepare() = 0;
  virtual Result<void> hold(std::chrono::milliseconds at_most) = 0;
  virtual Result<void> cut() = 0;  // kBusy: the hold was over
  virtual Result<uint64_t> flush() = 0;
  virtual Result<void> reload() = 0;
  virtual Result<void> release() = 0;  // gives up after hold()
};

class DiskCutMember : public CutMember {
 public:
  explicit DiskCutMember(std::shared_ptr<Disk> disk) : disk_(std::move(disk)) {}
  const std::string& disk() const override { return disk_->name(); }
  Result<void> prepare() override { return disk_->prepare_cut(); }
  Result<void> hold(std::chrono::milliseconds at_most) override {
    return disk_->hold(LayersGate::Clock::now() + at_most);
  }
  Result<void> cut() override { return disk_->cut_held(); }
  Result<uint64_t> flush() override { return disk_->flush_cut(); }
  Result<void> reload() override { return disk_->reload(); }
  Result<void> release() override {
    disk_->release();
    return {};
  }

 private:
  std::shared_ptr<Disk> disk_;
};

// Records `request` as a pending checkpoint of every member, with the label group=NAME. Tries again
// when a hold was too short. kExists: a member has that checkpoint; kBusy: no attempt came through.
// Reports the longest hold of the attempt that did.
Result<std::chrono::microseconds> checkpoint_group(
    Store& store, const std::vector<std::unique_ptr<CutMember>>& members,
    const CutRequest& request);

}  // namespace casdisk
