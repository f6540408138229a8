#include "cas/pending_objects.h"

#include <algorithm>

namespace casdisk {

namespace {

std::vector<LocatedObject> listed(const std::unordered_map<ChunkId, PackLocation>& objects) {
  std::vector<LocatedObject> list;
  list.reserve(objects.size());
  for (const auto& [id, location] : objects) list.push_back({id, location});
  return list;
}

}  // namespace

PendingObjects::Claim PendingObjects::claim(const ChunkId& id) {
  std::unique_lock lock(mutex_);
  claim_ended_.wait(lock, [&] { return !claimed_.contains(id); });
  if (pending_.contains(id)) return Claim::kPending;
  claimed_.insert(id);
  return Claim::kMine;
}

void PendingObjects::appended(const ChunkId& id, const PackLocation& location) {
  std::lock_guard lock(mutex_);
  pending_.insert_or_assign(id, location);
  lost_.erase(id);
  end_claim(id);
}

void PendingObjects::settled(const ChunkId& id) {
  std::lock_guard lock(mutex_);
  lost_.erase(id);
  end_claim(id);
}

void PendingObjects::given_up(const ChunkId& id) {
  std::lock_guard lock(mutex_);
  end_claim(id);
}

void PendingObjects::end_claim(const ChunkId& id) {
  const size_t ended = claimed_.erase(id);
  CHECK(ended == 1);
  claim_ended_.notify_all();
}

std::optional<PendingObjects::Found> PendingObjects::find(const ChunkId& id) const {
  std::lock_guard lock(mutex_);
  if (auto found = pending_.find(id); found != pending_.end()) return Found{found->second, false};
  if (auto found = lost_.find(id); found != lost_.end()) return Found{found->second, true};
  return std::nullopt;
}

std::vector<LocatedObject> PendingObjects::pending() const {
  std::lock_guard lock(mutex_);
  return listed(pending_);
}

std::vector<LocatedObject> PendingObjects::lost() const {
  std::lock_guard lock(mutex_);
  return listed(lost_);
}

size_t PendingObjects::count() const {
  std::lock_guard lock(mutex_);
  return pending_.size() + lost_.size();
}

void PendingObjects::registered(std::span<const LocatedObject> objects) {
  std::lock_guard lock(mutex_);
  for (const LocatedObject& object : objects) {
    auto found = pending_.find(object.id);
    if (found != pending_.end() && found->second == object.location) pending_.erase(found);
  }
}

void PendingObjects::lose_all() {
  std::lock_guard lock(mutex_);
  for (const auto& [id, location] : pending_) lost_.insert_or_assign(id, location);
  pending_.clear();
}

void PendingObjects::lose_in(std::span<const uint64_t> packs) {
  std::lock_guard lock(mutex_);
  std::erase_if(pending_, [&](const auto& object) {
    if (std::ranges::find(packs, object.second.pack) == packs.end()) return false;
    lost_.insert_or_assign(object.first, object.second);
    return true;
  });
}

void PendingObjects::clear() {
  std::lock_guard lock(mutex_);
  pending_.clear();
  lost_.clear();
}

void PendingObjects::forget_lost() {
  std::lock_guard lock(mutex_);
  lost_.clear();
}

void PendingObjects::wait_for_claims() {
  std::unique_lock lock(mutex_);
  const std::vector<ChunkId> claimed(claimed_.begin(), claimed_.end());
  for (const ChunkId& id : claimed) {
    claim_ended_.wait(lock, [&] { return !claimed_.contains(id); });
  }
}

void PendingObjects::lose(const ChunkId& id, const PackLocation& location) {
  std::lock_guard lock(mutex_);
  auto found = pending_.find(id);
  if (found == pending_.end() || found->second != location) return;
  pending_.erase(found);
  lost_.insert_or_assign(id, location);
}

}  // namespace casdisk
