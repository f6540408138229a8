#include "tests/crash/run.h"

#include <fmt/format.h>

#include <cstdio>

#include "tests/crash/options.h"

namespace casdisk {
Run::Run(std::unique_ptr<SimulatedComputer> computer, Use use, Totals& totals)
    : computer_(std::move(computer)), use_(use), totals_(totals) {
  computer_->trace(crash_options().traces);
}

Run::~Run() {
  worker_.reset();
  totals_.add(computer_->counts());
}

void Run::plan(const Accident& accident) {
  planned_ = accident.crash;
  computer_->crash_at(accident.change, accident.crash, accident.moment);
  totals_.crash_points++;
}

void Run::plan_failure(uint64_t change, AfterError after) {
  has_planned_failure_ = true;
  after_error_ = after;
  computer_->fail_at(change);
}

bool Run::fail(std::string what) {
  failure_ = std::move(what);
  return false;
}

// False: it did not come to be, or only after a recovery.
bool Run::ensure_worker() {
  if (worker_) return true;
  computer_->set_faults({});
  auto worker = Worker::start(*computer_, use_);
  if (computer_->has_crashed()) {
    worker = Error{};  // lets go of it
    if (!recover({model_}, planned_ == Crash::kPowerFails, "opening the store")) return false;
    return ensure_worker();
  }
  if (!worker.ok() && computer_->has_failed()) {  // by the failure that was planned
    computer_->fail_at(0);
    computer_->end_processes();
    return ensure_worker();
  }
  if (!worker.ok()) return fail("the store does not open: " + casdisk::describe(worker.error()));
  worker_ = std::move(worker).value();
  return true;
}

bool Run::step(const Step& step) {
  if (!ensure_worker()) return false;
  if (!model_.allows(step)) return true;
  totals_.steps++;
  if (crash_options().traces) std::printf("%s\n", casdisk::describe(step).c_str());
  switch (step.action) {
    case Action::kRestart:
      worker_.reset();
      if (computer_->has_crashed()) {
        return recover({model_}, planned_ == Crash::kPowerFails, "restarting");
      }
      computer_->end_processes();
      return true;
    case Action::kKill:
      computer_->end_processes();
      worker_.reset();
      return recover({model_}, false, "a kill");
    case Action::kCutPower:
      computer_->cut_power();
      worker_.reset();
      return recover({model_}, true, "a power cut");
    default:
      return perform(step);
  }
}

bool Run::perform(const Step& step) {
  Bytes read;
  const uint64_t failed_syncs = computer_->counts().failed_syncs;
  const bool was_open = worker_->has_open(step.disk);
  was_told_of_poison_ = false;
  computer_->set_faults(faults_);
  auto done = worker_->perform(step, read);
  computer_->set_faults({});
  if (computer_->has_crashed()) {  // whatever it says: nobody can have heard it
    worker_.reset();
    return recover(outcomes(model_, step), planned_ == Crash::kPowerFails, casdisk::describe(step));
  }
  const bool has_failed_sync = computer_->counts().failed_syncs > failed_syncs;
  if (step.action == Action::kFlush && was_open && has_failed_sync) {
    if (done.ok()) return fail("a flush whose sync failed says that all is well");
    if (!is_poisoned(step)) return fail("after a failed sync the disk takes another flush");
    was_told_of_poison_ = true;
  }
  if (!done.ok()) return after_error(step, done.error());
  if (!check_read(step, read)) return false;
  model_.apply(step);
  return true;
}

// No later flush succeeds, whatever the device does by then.
bool Run::is_poisoned(const Step& flush) {
  Bytes unused;
  auto again = worker_->perform(flush, unused);
  return !again.ok() && again.error().fault == Fault::kPoisoned;
}

bool Run::check_read(const Step& step, const Bytes& read) {
  const bool of_checkpoint = step.action == Action::kReadCheckpoint;
  if (step.action != Action::kRead && !of_checkpoint) return true;
  const DiskModel& disk = model_.disks.at(step.disk);
  const auto wrong = of_checkpoint
                         ? DiskState(*disk.checkpoints.at(step.name)).wrong_block(read, false)
                         : disk.state.wrong_block(read, false);
  if (!wrong) return true;
  return fail(fmt::format("block {} is read with a content that it does not have", *wrong));
}

// Without faults nothing may fail. With them, what failed has happened or not.
bool Run::after_error(const Step& step, const Error& error) {
  totals_.step_errors++;
  const bool has_faults =
      has_planned_failure_ ||
      faults_.io_error + faults_.no_space + faults_.failed_sync + faults_.flipped_bit > 0;
  if (!has_faults) return fail("an error without a cause: " + casdisk::describe(error));
  if (goes_on_after(step, error)) return read_back(step);
  computer_->end_processes();
  worker_.reset();
  std::vector<Model> worlds = outcomes(model_, step);
  if (step.action == Action::kFlush && error.fault == Fault::kPoisoned) {
    for (Model& world : worlds) world.disks.at(step.disk).must_be_poisoned = was_told_of_poison_;
  }
  return recover(
      std::move(worlds), false,
      fmt::format("{}, which failed ({})", casdisk::describe(step), casdisk::describe(error)));
}

bool Run::goes_on_after(const Step& step, const Error& error) {
  const bool is_request = step.action == Action::kWrite || step.action == Action::kZero ||
                          step.action == Action::kTrim || step.action == Action::kRead;
  const bool may_go_on =
      step.action == Action::kSeal || (is_request && error.fault != Fault::kPoisoned);
  if (after_error_ != AfterError::kDrawn) return may_go_on && after_error_ == AfterError::kGoOn;
  return may_go_on && one_of(computer_->dice(), 1, 2);
}

// The same process goes on: what was acknowledged is there, and the request's blocks are old or
// new.
bool Run::read_back(const Step& step) {
  Bytes read;
  auto done = worker_->perform({Action::kRead, step.disk}, read);
  if (computer_->has_crashed()) {
    worker_.reset();
    return recover(outcomes(model_, step), planned_ == Crash::kPowerFails,
                   casdisk::describe(step) + ", which failed");
  }
  if (!done.ok()) {
    if (done.error().fault == Fault::kPoisoned) {
      computer_->end_processes();
      worker_.reset();
      return recover(outcomes(model_, step), false, casdisk::describe(step));
    }
    return fail("after a failed request nothing is readable: " + casdisk::describe(done.error()));
  }
  model_ = outcomes(model_, step).front();
  DiskState& state = model_.disks.at(step.disk).state;
  if (auto block = state.wrong_block(read, false)) {
    return fail(fmt::format("block {} has changed by a request that failed", *block));
  }
  state.found(read, false);
  return true;
}

// Since the last recovery: any disk may have been what was synced.
void Run::note_failed_syncs(std::vector<Model>& worlds) {
  const uint64_t now = computer_->counts().failed_syncs;
  if (now == failed_syncs_) return;
  failed_syncs_ = now;
  for (Model& world : worlds) {
    for (auto& [name, disk] : world.disks) disk.may_be_poisoned = true;
  }
}

bool Run::recover(std::vector<Model> worlds, bool after_power_cut, const std::string& why) {
  recovery_count_++;
  note_failed_syncs(worlds);
  auto found = casdisk::recover(*computer_, worlds, {after_power_cut, depth_}, totals_);
  if (!found.ok()) {
    return fail(fmt::format("after {}: {}", why, casdisk::describe(found.error())));
  }
  model_ = std::move(found).value();
  return true;
}

bool Run::finish() {
  return step({Action::kKill}) && step({Action::kCutPower}) && step({Action::kCutPower});
}

std::string play(Run& run, const std::vector<Step>& script) {
  for (size_t i = 0; i < script.size(); i++) {
    if (run.step(script[i])) continue;
    return fmt::format("step {} ({}): {}", i, describe(script[i]), run.failure());
  }
  return run.finish() ? "" : "at the end: " + run.failure();
}

}  // namespace casdisk
