// Run: one script on one simulated computer, with accidents, judged by the model after each.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/crash/model.h"
#include "tests/crash/recovery.h"

namespace casdisk {

class Run {
 public:
  Run(std::unique_ptr<SimulatedComputer> computer, Use use, Totals& totals);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void plan(const Accident& accident);
  // Rates for the steps that follow; recoveries are spared.
  void set_faults(const SimulatedFaults& faults) { faults_ = faults; }
  // One failure, at that change from now on; and what is done after a step that failed, where the
  // process could go on.
  enum class AfterError { kDrawn, kGoOn, kReopen };
  void plan_failure(uint64_t change, AfterError after);
  // A recovery is interrupted up to so many times, at a change drawn from its first ones.
  void interrupt_recoveries(unsigned depth) { depth_ = depth; }

  // False when something was wrong; failure() says what.
  bool step(const Step& step);
  // Judges once more, after a kill and after a power cut.
  bool finish();

  const std::string& failure() const { return failure_; }
  const Model& model() const { return model_; }
  SimulatedComputer& computer() { return *computer_; }
  bool had_accident() const { return recovery_count_ > 0; }

 private:
  bool fail(std::string what);
  bool ensure_worker();
  bool perform(const Step& step);
  bool after_error(const Step& step, const Error& error);
  bool goes_on_after(const Step& step, const Error& error);
  bool is_poisoned(const Step& flush);
  bool read_back(const Step& step);
  bool check_read(const Step& step, const Bytes& read);
  void note_failed_syncs(std::vector<Model>& worlds);
  bool recover(std::vector<Model> worlds, bool after_power_cut, const std::string& why);

  const std::unique_ptr<SimulatedComputer> computer_;
  const Use use_;
  Totals& totals_;
  std::unique_ptr<Worker> worker_;
  Model model_;
  SimulatedFaults faults_;
  bool has_planned_failure_ = false;
  bool was_told_of_poison_ = false;  // by this step
  AfterError after_error_ = AfterError::kDrawn;
  Crash planned_ = Crash::kProcessDies;
  unsigned depth_ = 0;
  uint64_t recovery_count_ = 0;
  uint64_t failed_syncs_ = 0;
  std::string failure_;
};

// Performs the steps and finish()es. Gives the failure, with the step at which it was.
std::string play(Run& run, const std::vector<Step>& script);

}  // namespace casdisk
