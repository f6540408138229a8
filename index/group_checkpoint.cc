#include "index/group_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "cas/os/parallel.h"
#include "index/name_rules.h"

namespace casdisk {
namespace {

using Clock = std::chrono::steady_clock;
using Members = std::vector<std::unique_ptr<CutMember>>;

// Between the cuts and the transaction. Half of what a disk keeps its cut for (disk_cut.cc).
constexpr std::chrono::milliseconds kMaxCommitWait{2500};

// Before the second attempt; before later ones as many times as much. Of which a random share.
constexpr uint64_t kRetryUs = 20'000;

// One step of every member, side by side: a hold must not wait for another's.
Result<void> for_all(const Members& members,
                     const std::function<Result<void>(CutMember&, size_t)>& step) {
  return parallel_for(members.size(), unsigned(members.size()),
                      [&](size_t i) { return step(*members[i], i); });
}

Error run_out(const std::string& disk) {
  return Error{Fault::kBusy, 0,
               fmt::format("disk {} changed while the group was checkpointed; try again", disk)};
}

// A cut of one disk that waits to be recorded.
struct Cut {
  uint64_t generation = 0;
  HeadRecord head;  // after the cut
};

// REQUIRES: in the transaction that records it. The root is still the disk before the cut, or the
// cut itself; were it later, the checkpoint would have writes of after its moment.
Result<void> record_cut(CatalogWriter& writer, const std::string& disk, const Cut& cut,
                        const CutRequest& request, int64_t time_ns, uint64_t random) {
  TRY_ASSIGN(HeadRecord head, writer.head(disk));
  uint64_t next = head.generations.empty() ? head.next_generation : head.generations[0].number;
  if (head.uid != cut.head.uid || head.size_bytes != cut.head.size_bytes ||
      next > cut.generation + 1 || head.origin) {
    return run_out(disk);
  }
  TRY(writer.check_checkpoint_is_new(disk, head, request.checkpoint));
  // Another checkpoint has been cut since: the order of the pending ones is that of their cuts.
  if (!head.pending.empty() && head.pending.back().generation > cut.generation) {
    return run_out(disk);
  }
  if (head.pending.size() >= kMaxGenerations) return run_out(disk);
  head.pending.push_back({request.checkpoint, cut.generation, time_ns, random, false,
                          request.labels, request.attachments});
  return writer.put_head(disk, head);
}

class Attempt {
 public:
  Attempt(Store& store, const Members& members, const CutRequest& request)
      : store_(store), members_(members), request_(request), cuts_(members.size()) {}

  // Gives how long writes were held.
  Result<std::chrono::microseconds> run() {
    TRY(for_all(members_, [](CutMember& member, size_t) { return member.prepare(); }));
    auto held = hold_and_record();
    // What is recorded is recorded: a server that is gone finds it when it opens the disk again,
    // one that does not hear of it looks for it by itself.
    TRY(for_all(members_, [&](CutMember& member, size_t) -> Result<void> {
      if (auto finished = member.finish(); !finished.ok()) store_.log(describe(finished.error()));
      return {};
    }));
    return held;
  }

 private:
  Result<std::chrono::microseconds> hold_and_record() {
    const auto begin = Clock::now();
    TRY(for_all(members_, [](CutMember& member, size_t) { return member.hold(kMaxHold); }));
    TRY(for_all(members_, [&](CutMember& member, size_t i) -> Result<void> {
      TRY_ASSIGN(cuts_[i].generation, member.cut());
      return {};
    }));
    const auto held = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
    TRY(for_all(members_, [&](CutMember& member, size_t i) -> Result<void> {
      TRY(member.flush());
      TRY_ASSIGN(cuts_[i].head, store_.catalog().head(member.disk()));
      return {};
    }));
    TRY(record(begin));
    return held;
  }

  Result<void> record(Clock::time_point begin) {
    const int64_t time_ns = store_.now_ns();
    return store_.catalog().update([&](CatalogWriter& writer) -> Result<void> {
      if (Clock::now() - begin > kMaxCommitWait) return run_out(members_[0]->disk());
      for (size_t i = 0; i < members_.size(); i++) {
        TRY(record_cut(writer, members_[i]->disk(), cuts_[i], request_, time_ns, store_.random()));
      }
      return {};
    });
  }

  Store& store_;
  const Members& members_;
  const CutRequest& request_;
  std::vector<Cut> cuts_;
};

// Two groups that meet must not do so for ever.
void wait_before_attempt(Store& store, unsigned attempt) {
  const uint64_t at_most_us = kRetryUs * attempt;
  std::this_thread::sleep_for(std::chrono::microseconds(store.random() % at_most_us));
}

}  // namespace

Result<void> DiskCutMember::hold(std::chrono::milliseconds at_most) {
  TRY_ASSIGN(hold_, disk_->hold(LayersGate::Clock::now() + at_most));
  return {};
}

Result<uint64_t> DiskCutMember::cut() {
  TRY_ASSIGN(generation_, disk_->cut_held(std::exchange(hold_, std::nullopt).value_or(0)));
  return *generation_;
}

Result<void> DiskCutMember::finish() {
  if (auto hold = std::exchange(hold_, std::nullopt)) disk_->release(*hold);
  auto generation = std::exchange(generation_, std::nullopt);
  return generation ? disk_->reload(*generation) : Result<void>();
}

Result<std::chrono::microseconds> checkpoint_group(
    Store& store, const std::vector<std::unique_ptr<CutMember>>& members,
    const CutRequest& request) {
  TRY(check_new_checkpoint_name(request.checkpoint));
  CutRequest labelled = request;
  labelled.labels.emplace_back(kGroupLabel, request.checkpoint);
  for (unsigned attempt = 1;; attempt++) {
    auto held = Attempt(store, members, labelled).run();
    if (held.ok() || held.error().fault != Fault::kBusy || attempt == kMaxGroupAttempts) {
      return held;
    }
    wait_before_attempt(store, attempt);
  }
}

}  // namespace casdisk
