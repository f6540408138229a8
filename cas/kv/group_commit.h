// GroupCommit: writes of many threads in few commits.
//
// A durable commit takes as long for many writes as for one. Whoever comes while a commit is under
// way waits, and one of those commits for all that wait. A single thread pays nothing for it.
// Safe to call from any thread.
#pragma once

#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "cas/kv/kv_types.h"

namespace casdisk {

class GroupCommit {
 public:
  struct Request {
    const KvWrite& write;
    Result<std::vector<KvOutcome>> outcome;
  };
  // Does the writes in their order and sets each outcome. One call at a time.
  using Commit = std::function<void(std::span<Request* const> group)>;

  explicit GroupCommit(Commit commit) : commit_(std::move(commit)) {}
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  Result<std::vector<KvOutcome>> write(const KvWrite& write);

 private:
  struct Waiter;
  std::vector<Waiter*> take_group();

  // Fixed after construction.
  const Commit commit_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::deque<Waiter*> queue_;  // the first one commits, as soon as nobody does
  bool is_committing_ = false;
};

}  // namespace casdisk
