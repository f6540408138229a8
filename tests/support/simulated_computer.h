// SimulatedComputer: a computer whose processes can be killed and whose power can be cut at any
// operation, with a disk that forgets what was not synced (simulated_storage.h has the fault
// model).
//
// A process has a FileSystem and a Machine of its own (files, names, mappings, KV environments,
// locks); several share the disk. Every call of theirs is an operation, counted from 1; those that
// change something can be what the crash strikes. Two sorts of crash:
//
// - The process that called dies: the page cache, mappings included, stays as it is; its locks are
//   free; boot and mount are the same; other processes live on.
// - The power fails: all processes end, the disk is what the fault model makes of it, and there is
//   a new boot, or in the same boot a new mount.
//
// What has ended gets an error from every call and changes nothing any more, also by stores to its
// mappings: destructors may run. A write that is struck leaves whole pages of its beginning. A
// commit of an environment is whole or not there, and durable when it returns.
//
// Besides, by rates: any call fails with EIO or ENOSPC without an effect, but a failing write
// leaves its beginning behind; a sync fails (simulated_storage.h); a commit fails with EIO and is
// there or not, after which its environment takes no more; reads flip a bit.
//
// Everything is drawn from one seed: the same calls have the same outcome. Not safe for concurrent
// use, but by threads that take turns (turns.h): after each operation another one may go on.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "cas/machine.h"
#include "cas/os/file.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/turns.h"

namespace casdisk {

enum class Crash { kProcessDies, kPowerFails };
enum class Moment { kBefore, kMiddle, kAfter };  // of the operation's effect

// Chances in a million for each operation.
struct SimulatedFaults {
  uint32_t io_error = 0;
  uint32_t no_space = 0;
  uint32_t failed_sync = 0;
  uint32_t flipped_bit = 0;
  std::string flips_only_in = "";  // files whose path has this in it
};

struct SimulatedCounts {
  uint64_t operations = 0;  // all calls
  uint64_t changes = 0;     // those that a crash can strike
  uint64_t errors = 0, failed_syncs = 0, flipped_bits = 0;
  uint64_t process_deaths = 0, power_cuts = 0;
};

class SimulatedMapping;

class SimulatedComputer {
 public:
  explicit SimulatedComputer(uint64_t seed, uint64_t capacity_bytes = uint64_t(1) << 40);

  // Another computer with a disk like this one's. REQUIRES: no process runs here. Brings everything
  // to the device first.
  std::unique_ptr<SimulatedComputer> copy(uint64_t seed);

  // A process's time.
  struct Life {
    bool is_over = false;
    std::set<SimulatedMapping*> mappings;
  };
  using LifePointer = std::shared_ptr<Life>;

  struct Process {
    std::shared_ptr<FileSystem> file_system;
    std::shared_ptr<Machine> machine;
    LifePointer life;
  };
  Process start_process();

  // Strikes the `change`th of the changes (SimulatedCounts) that follow. 0: none any more.
  void crash_at(uint64_t change, Crash crash, Moment moment);
  bool has_crashed() const { return has_crashed_; }
  // Lets the `change`th of the changes that follow fail: a sync as syncs do, others with EIO or
  // ENOSPC. 0: none any more.
  void fail_at(uint64_t change) { fail_at_ = change == 0 ? 0 : counts_.changes + change; }
  bool has_failed() const { return fail_at_ != 0 && counts_.changes >= fail_at_; }
  // Of the threads that call; null: there is one. They outlive their use.
  void take_turns(Turns* turns) { turns_ = turns; }
  Turns* turns() { return turns_; }

  // At once; no process is left afterwards, or not that one.
  void end_processes();
  void end_process(const Process& process);
  void cut_power();

  void set_faults(const SimulatedFaults& faults) { faults_ = faults; }
  // Each operation is printed, with its number among the changes if it is one.
  void trace(bool on) { traces_ = on; }
  const SimulatedCounts& counts() const { return counts_; }
  Dice& dice() { return dice_; }

  // For what runs on it (simulated_files.cc, simulated_environment.cc).
  enum class Call { kRead, kChange, kSync };
  // One operation: does `effect` unless it is fated otherwise. `part` is what is done of it when it
  // fails, or is struck in the middle (which a sync is without an effect).
  using Effect = std::function<Result<void>()>;
  using Part = std::function<void()>;
  Result<void> operate(
      const LifePointer& life, Call call, const std::string& name, const Effect& effect,
      const Part& part = [] {});
  void maybe_flip(const std::string& path, std::span<std::byte> bytes);

  Result<InodePointer> find(const std::string& path);
  InodePointer new_inode(bool is_directory);
  Result<void> check_space(uint64_t more_pages, const std::string& path);
  uint64_t free_bytes() const;
  uint64_t now_ns() { return clock_ns_ += 1'000'000; }
  void sleep(std::chrono::milliseconds time);
  const std::string& boot_id() const { return boot_id_; }
  uint64_t mount_id() const { return mount_id_; }

  struct Lock {
    LifePointer holder;
    std::string note;
  };
  std::map<std::string, std::weak_ptr<Lock>>& locks() { return locks_; }
  // Those that many have together.
  std::map<std::string, std::vector<std::weak_ptr<Lock>>>& shared_locks() { return shared_locks_; }

 private:
  void end(const LifePointer& life);
  void crash(const LifePointer& caller);
  std::optional<Error> draw_error(Call call, const std::string& name);

  Dice dice_;
  const uint64_t capacity_bytes_;
  InodePointer root_;
  std::vector<std::weak_ptr<SimulatedInode>> inodes_;
  uint64_t last_inode_ = 0;
  uint64_t clock_ns_ = 1'000'000'000'000'000'000;
  std::string boot_id_;
  uint64_t boot_count_ = 0;
  uint64_t mount_id_ = 1;
  std::vector<LifePointer> lives_;
  std::map<std::string, std::weak_ptr<Lock>> locks_;
  std::map<std::string, std::vector<std::weak_ptr<Lock>>> shared_locks_;

  SimulatedFaults faults_;
  SimulatedCounts counts_;
  uint64_t crash_at_ = 0;
  uint64_t fail_at_ = 0;
  Crash crash_ = Crash::kProcessDies;
  Moment moment_ = Moment::kBefore;
  bool has_crashed_ = false;
  bool traces_ = false;
  Turns* turns_ = nullptr;
  uint64_t sleep_count_ = 0;
};

// A shared mapping. When its process is over it is a copy, of which nobody knows.
class SimulatedMapping : public Mapping {
 public:
  SimulatedMapping(SimulatedComputer::LifePointer life, InodePointer inode);
  ~SimulatedMapping() override { life_->mappings.erase(this); }
  SimulatedMapping(const SimulatedMapping&) = delete;
  SimulatedMapping& operator=(const SimulatedMapping&) = delete;

  std::span<std::byte> bytes() override;
  void detach();

 private:
  const SimulatedComputer::LifePointer life_;
  const InodePointer inode_;
  const size_t length_;
  std::optional<Bytes> copy_;
};

std::shared_ptr<FileSystem> make_simulated_files(SimulatedComputer& computer,
                                                 SimulatedComputer::LifePointer life);
std::unique_ptr<LmdbEnvironment> make_simulated_environment(SimulatedComputer& computer,
                                                            SimulatedComputer::LifePointer life,
                                                            std::string path, InodePointer inode,
                                                            std::function<bool()> make_room);

}  // namespace casdisk
