// Lane: one of the writers of a store that are played at once: a process after the other, each with
// disks of its own, and a model of what they hold.
//
// Of others' disks it reads and forks checkpoints, which may be removed meanwhile, and garbage is
// everybody's. A process that died leaves its disks alone; the next one makes others. Lanes take
// turns (turns.h), so they need no locks.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "index/checkpoint_view.h"
#include "tests/crash/generator.h"
#include "tests/crash/totals.h"

namespace casdisk {

// What the lanes know of each other.
struct Board {
  struct Sealed {
    std::shared_ptr<const Bytes> bytes;
    bool is_over_fallback = false;
    bool may_be_gone = false;  // its removal has begun
  };
  std::map<std::pair<std::string, std::string>, Sealed> checkpoints;  // by disk and name
  Crash planned = Crash::kProcessDies;
  std::string failure;  // the first one ends all lanes

  void add(const std::string& disk, const DiskModel& model);
  void note_removal(const Step& step);
};

class Lane {
 public:
  // All outlive it. New names begin with `name`.
  Lane(SimulatedComputer& computer, Board& board, Totals& totals, uint64_t seed, std::string name,
       Model own);

  void play(unsigned step_count);

  // For each process that there was, what its disks may be.
  const std::vector<std::vector<Model>>& worlds() const { return worlds_; }

 private:
  bool goes_on() const;
  bool is_struck() const;
  void step();
  Step next();
  void perform(const Step& step);
  void perform_on_other();
  void look_at_view();
  void restart();
  bool start_worker();
  void ended(std::vector<Model> worlds);
  void fail(const std::string& what, const std::string& why);
  void check_read(const Step& step, const Bytes& wanted, const Bytes& read);
  std::map<std::pair<std::string, std::string>, Board::Sealed>::iterator draw_other();

  SimulatedComputer& computer_;
  Board& board_;
  Totals& totals_;
  const std::string name_;
  const Use use_;
  Generator generator_;
  unsigned process_count_ = 0;
  SimulatedComputer::LifePointer life_;
  std::unique_ptr<Worker> worker_;
  std::shared_ptr<CheckpointView> view_;
  Bytes view_bytes_;
  Model model_;
  std::vector<std::vector<Model>> worlds_;
};

// All that the lanes' worlds may be together.
std::vector<Model> together(const std::vector<std::unique_ptr<Lane>>& lanes);

}  // namespace casdisk
