#include "cas/kv/group_commit.h"

#include <condition_variable>

namespace casdisk {
namespace {

// What one commit may hold: with more, the first of them would wait for the last for too long.
constexpr size_t kMaxGroupCount = 256;
constexpr size_t kMaxGroupBytes = size_t(4) << 20;

size_t bytes_of(const KvWrite& write) {
  size_t bytes = 0;
  for (const KvOperation& operation : write.operations) {
    bytes += operation.key.size() + operation.value.size();
  }
  return bytes;
}

}  // namespace

struct GroupCommit::Waiter {
  Request request;
  bool is_done = false;
  std::condition_variable changed;
};

// At least the first, which is the caller's own.
std::vector<GroupCommit::Waiter*> GroupCommit::take_group() {
  std::vector<Waiter*> group;
  size_t bytes = 0;
  while (!queue_.empty() && group.size() < kMaxGroupCount) {
    bytes += bytes_of(queue_.front()->request.write);
    if (!group.empty() && bytes > kMaxGroupBytes) break;
    group.push_back(queue_.front());
    queue_.pop_front();
  }
  return group;
}

Result<std::vector<KvOutcome>> GroupCommit::write(const KvWrite& write) {
  Waiter me{{write, std::vector<KvOutcome>()}};
  std::unique_lock lock(mutex_);
  queue_.push_back(&me);
  me.changed.wait(lock, [&] { return me.is_done || (!is_committing_ && queue_.front() == &me); });
  if (me.is_done) return std::move(me.request.outcome);

  is_committing_ = true;
  const std::vector<Waiter*> group = take_group();
  lock.unlock();
  std::vector<Request*> requests;
  for (Waiter* waiter : group) requests.push_back(&waiter->request);
  commit_(requests);
  lock.lock();
  is_committing_ = false;
  for (Waiter* waiter : group) {
    waiter->is_done = true;
    if (waiter != &me) waiter->changed.notify_one();
  }
  if (!queue_.empty()) queue_.front()->changed.notify_one();
  return std::move(me.request.outcome);
}

}  // namespace casdisk
