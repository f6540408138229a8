#include "nbd/control/served_disk.h"

#include <fmt/format.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "nbd/control/control_socket.h"

namespace casdisk {
namespace {

using std::chrono::milliseconds;

// A server that is replaced is back within a second, and takes its time to recover a disk.
constexpr int kMaxTries = 100;
constexpr milliseconds kTryEvery{50};

void no_progress(uint64_t) {}

Result<std::optional<LockHolder>> holder_of(Store& store, const std::string& disk) {
  TRY_ASSIGN(HeadRecord head, store.catalog().head(disk));
  return store.lease_holder(head.uid);
}

Error held(const std::string& disk, const Error& why) {
  return Error{Fault::kBusy, why.os_error, fmt::format("disk {} is busy: {}", disk, why.context)};
}

// A connection to whoever has the disk; null when nobody can be reached at the moment, which will
// change.
Result<std::unique_ptr<ControlClient>> reach_holder(Store& store, const std::string& disk) {
  TRY_ASSIGN(auto holder, holder_of(store, disk));
  if (!holder || holder->note == kStartingNote) return std::unique_ptr<ControlClient>();
  auto client = ControlClient::connect(store.path(), *holder);
  if (client.ok()) return client;
  if (client.error().fault == Fault::kNotFound) return std::unique_ptr<ControlClient>();
  if (client.error().fault == Fault::kBusy) return held(disk, client.error());
  return std::move(client.error());
}

}  // namespace

Result<void> here_or_at_server(Store& store, const std::string& disk,
                               const std::function<Result<void>()>& here, const AtServer& there) {
  for (int tries = 1;; tries++) {
    auto done = here();
    if (done.ok() || done.error().fault != Fault::kBusy) return done;
    TRY_ASSIGN(auto client, reach_holder(store, disk));
    if (client) return there(std::move(client));
    if (tries == kMaxTries) return done;
    std::this_thread::sleep_for(kTryEvery);
  }
}

Result<std::unique_ptr<ControlClient>> server_of(Store& store, const std::string& disk) {
  for (int tries = 1;; tries++) {
    TRY_ASSIGN(auto client, reach_holder(store, disk));
    if (client) return client;
    TRY_ASSIGN(auto holder, holder_of(store, disk));
    if (!holder || tries == kMaxTries) return client;
    std::this_thread::sleep_for(kTryEvery);
  }
}

Result<void> ask_server_to_seal(const std::string& path, const std::string& disk,
                                const LockHolder& holder, SealWhat what) {
  auto client = ControlClient::connect(path, holder);
  if (!client.ok() && client.error().fault == Fault::kBusy) return held(disk, client.error());
  if (!client.ok()) return std::move(client.error());
  ControlRequest request = request_for(disk, ControlOperation::kSeal);
  request.what = what;
  request.wait = true;
  auto sealed = client.value()->call(request, no_progress);
  if (sealed.ok()) return {};
  // Sealing twice does no harm: unlike for other requests, it does not matter whether it was done.
  if (sealed.error().os_error == ECONNRESET) sealed.error().fault = Fault::kNotFound;
  return std::move(sealed.error());
}

Result<void> ServedCutMember::step(ControlOperation operation) {
  TRY(client_->call(request_for(disk_, operation), no_progress));
  return {};
}

Result<void> ServedCutMember::hold(milliseconds at_most) {
  ControlRequest request = request_for(disk_, ControlOperation::kHold);
  request.at_most_ms = uint64_t(at_most.count());
  TRY_ASSIGN(auto answer, client_->call(request, no_progress));
  hold_ = answer.hold.value_or(0);
  return {};
}

Result<uint64_t> ServedCutMember::cut() {
  ControlRequest request = request_for(disk_, ControlOperation::kCut);
  request.hold = std::exchange(hold_, 0);
  TRY_ASSIGN(auto answer, client_->call(request, no_progress));
  generation_ = answer.generation;
  if (generation_) return *generation_;
  return Error{Fault::kDamaged, 0, fmt::format("the server of disk {} named no generation", disk_)};
}

Result<void> ServedCutMember::finish() {
  ControlRequest request = request_for(disk_, ControlOperation::kRelease);
  request.hold = std::exchange(hold_, 0);
  const auto generation = std::exchange(generation_, std::nullopt);
  request.generation = generation.value_or(0);
  if (generation) request.operation = ControlOperation::kReload;
  if (request.hold == 0 && !generation) return {};
  TRY(client_->call(request, no_progress));
  return {};
}

}  // namespace casdisk
