// Scripts: what the crash tests do to a store, step by step, and how a process carries it out.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "index/disk.h"
#include "index/store.h"
#include "tests/support/simulated_computer.h"

namespace casdisk {

inline const std::string kStorePath = "/store";
inline const std::string kFallbackPath = "/base.img";
inline constexpr uint64_t kFallbackBytes = 150'001;

enum class Action {
  kCreate,            // disk, length: its size; content 1: over the fallback
  kWrite,             // disk, offset, length, content: the seed of the bytes
  kZero,              // disk, offset, length
  kTrim,              // disk, offset, length
  kRead,              // disk
  kFlush,             // disk
  kCut,               // disk, name: of the pending checkpoint
  kSeal,              // disk
  kCheckpoint,        // disk, name; as the command does it
  kReadCheckpoint,    // disk, name
  kRollback,          // disk, name
  kResize,            // disk, length: the new size
  kFork,              // disk, name: of a checkpoint, empty: the head; other: the new disk
  kImport,            // disk, length: its size; content: the seed of its bytes
  kIngest,            // disk
  kCollect,           // garbage, all of it; content: stopped when that is asked so often
  kRemoveCheckpoint,  // disk, name
  kRemoveDisk,        // disk
  kClose,             // disk
  kRestart,           // the process ends in order, and another one begins
  kKill,              // the process ends at once
  kCutPower,          // and so does the computer
};

struct Step {
  Action action;
  std::string disk = "";
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t content = 0;
  std::string name = "";
  std::string other = "";
};

std::string describe(const Step& step);

// The bytes that a step writes.
Bytes written_bytes(const Step& step);
// What is in the fallback file.
Bytes fallback_bytes();

// How the process holds its disks.
enum class Use {
  kCommand,  // one command after the other, each opens the disk and closes it
  kServer,   // it stays open and is served
};

// One process that has the store open.
class Worker {
 public:
  // `life`: where to put that of its process, which may end while the store is being opened.
  static Result<std::unique_ptr<Worker>> start(SimulatedComputer& computer, Use use,
                                               SimulatedComputer::LifePointer* life = nullptr);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // What is not done by the process itself (kRestart and below) is not for it. kRead and
  // kReadCheckpoint leave all bytes of the volume in `read`.
  Result<void> perform(const Step& step, Bytes& read);

  Store& store() { return *store_; }
  const SimulatedComputer::Process& process() const { return process_; }
  Result<std::shared_ptr<Disk>> disk(const std::string& name);
  bool has_open(const std::string& disk) const { return disks_.contains(disk); }

 private:
  Worker(SimulatedComputer::Process process, Use use) : process_(std::move(process)), use_(use) {}
  Result<void> seal_for_another(const std::string& disk, SealWhat what);
  Result<void> change(const Step& step);
  Result<void> read_checkpoint(const Step& step, Bytes& read);
  Result<void> roll_back(const Step& step);

  const SimulatedComputer::Process process_;
  const Use use_;
  std::unique_ptr<Store> store_;
  std::map<std::string, std::shared_ptr<Disk>> disks_;
};

// A computer with an empty store and the fallback's file on it, all of it on the device.
std::unique_ptr<SimulatedComputer> computer_with_store(uint64_t seed);

}  // namespace casdisk
