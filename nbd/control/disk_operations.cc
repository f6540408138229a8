#include "nbd/control/disk_operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "cas/os/parallel.h"
#include "index/checkpoint_view.h"
#include "nbd/size_text.h"

namespace casdisk {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// How often a wait looks whether anybody still waits for it.
constexpr milliseconds kLookEvery{100};
// A checkpoint that somebody makes between the seal and the change is sealed too, so often.
constexpr int kMaxTries = 10;

Error stopped() { return Error{Fault::kIo, ECANCELED, "nobody waits for it any more"}; }

// A client that waits for answers sends nothing for so long.
constexpr milliseconds kQuietTime{20};
// Of requests, while their connections end.
constexpr milliseconds kMaxDetachHold{1000};

SealOptions now(const ControlCaller& caller) {
  SealOptions options;
  options.threads = core_count();
  options.urgency = Urgency::kNow;
  options.progress = caller.progress;
  options.stop = caller.stop;
  return options;
}

bool is_pending(const Disk& disk, const std::string& checkpoint) {
  const auto pending = disk.seal_status().pending;
  return std::find(pending.begin(), pending.end(), checkpoint) != pending.end();
}

Result<void> seal_now(Disk& disk, const ControlCaller& caller) {
  TRY_ASSIGN(SealEnd end, disk.seal(now(caller)));
  if (end == SealEnd::kDone) return {};
  return stopped();
}

// Cuts once there is room: the command waits, the guest does not. Where nobody seals in the
// background, the command does.
Result<void> when_there_is_room(Disk& disk, const BackgroundSealer& sealer,
                                const ControlCaller& caller,
                                const std::function<Result<void>()>& cut) {
  for (;;) {
    if (disk.has_room_for_cut()) {
      auto outcome = cut();
      const bool was_overtaken =
          !outcome.ok() && outcome.error().fault == Fault::kBusy && !disk.has_room_for_cut();
      if (!was_overtaken) return outcome;
    }
    if (!sealer.has_thread()) {
      TRY(seal_now(disk, caller));
      continue;
    }
    if (auto failure = disk.seal_status().failure) {
      failure->context = fmt::format("disk {} takes no more checkpoints until it is sealed: {}",
                                     disk.name(), failure->context);
      return std::move(*failure);
    }
    if (caller.stop()) return stopped();
    disk.wait_for_seal(kLookEvery);
  }
}

// Nobody but the caller can say that all of them is in the store; that their roots are is seen.
Result<void> check_attachments(Store& store, const std::vector<Attachment>& attachments,
                               const ControlCaller& caller) {
  if (!caller.session) {
    return Error{Fault::kInvalid, 0,
                 "attachments go with a write session: begin_session comes first"};
  }
  for (const Attachment& attachment : attachments) {
    if (attachment.root.state != EntryState::kId) continue;
    TRY_ASSIGN(const auto found, store.local_chunks().locations().lookup(attachment.root.id));
    if (found) continue;
    return Error{Fault::kInvalid, 0,
                 fmt::format("attachment {}: its root {} is not in the store", attachment.name,
                             to_hex(attachment.root.id))};
  }
  return {};
}

// Rollback and resize want nothing pending.
Result<void> with_nothing_pending(Disk& disk, const ControlCaller& caller,
                                  const std::function<Result<void>()>& change) {
  for (int tries = 1;; tries++) {
    if (!disk.head().pending.empty()) TRY(seal_now(disk, caller));
    auto changed = change();
    const bool is_last = tries == kMaxTries || caller.stop();
    if (changed.ok() || changed.error().fault != Fault::kBusy || is_last) return changed;
    disk.wait_for_seal(kLookEvery);
  }
}

}  // namespace

Result<ControlAnswer> DiskOperations::run(const ControlRequest& request, ControlCaller& caller) {
  TRY_ASSIGN(User user, user_of(request.disk, caller));
  switch (request.operation) {
    case ControlOperation::kStatus:
      return status(user);
    case ControlOperation::kStats:
      return stats(user);
    case ControlOperation::kCheckpoint:
      return checkpoint(user, request, caller);
    case ControlOperation::kFork:
      return fork(user, request, caller);
    case ControlOperation::kSeal:
      return seal(user, request, caller);
    case ControlOperation::kFlush:
      TRY(user->disk()->flush());
      return ControlAnswer{};
    case ControlOperation::kRollback:
      return rollback(user, request, caller);
    case ControlOperation::kResize:
      return resize(user, request, caller);
    case ControlOperation::kDetach:
      return detach(user, caller);
    case ControlOperation::kBeginSession:
      return begin_session(caller);
    case ControlOperation::kPrepare:
    case ControlOperation::kHold:
    case ControlOperation::kCut:
    case ControlOperation::kFlushCut:
    case ControlOperation::kReload:
    case ControlOperation::kRelease:
      return group_step(user, request, caller);
  }
  return Error{Fault::kUnsupported, 0, "unknown operation"};
}

Result<DiskOperations::User> DiskOperations::user_of(const std::string& disk,
                                                     ControlCaller& caller) {
  auto prepared = caller.prepared.find(disk);
  if (prepared != caller.prepared.end()) return prepared->second;
  TRY_ASSIGN(auto handle, exports_.open_export(disk, Exports::User::kService));
  return User(std::move(handle));
}

Result<ControlAnswer> DiskOperations::status(const User& user) {
  const Disk& disk = *user->disk();
  SealStatus seal = disk.seal_status();
  const auto sealed_bytes = sealer_.sealed_bytes(user->name());
  DiskStatus status;
  status.size_bytes = disk.size_bytes();
  status.client_count = user->client_count();
  status.active_bytes = seal.active_bytes;
  status.frozen_count = seal.frozen_count;
  status.frozen_bytes = seal.frozen_bytes;
  status.pending = std::move(seal.pending);
  status.sealing = sealed_bytes.has_value();
  status.sealed_bytes = sealed_bytes.value_or(0);
  if (seal.failure) status.failure = describe(*seal.failure);
  ControlAnswer answer;
  answer.status = std::move(status);
  return answer;
}

Result<ControlAnswer> DiskOperations::stats(const User& user) {
  ControlAnswer answer;
  for (size_t kind = 0; kind < kRequestKindNames.size(); kind++) {
    const auto counts = user->counters().counts(RequestKind(kind));
    answer.stats.push_back({kRequestKindNames[kind], counts.count, counts.bytes, counts.error_count,
                            counts.longest_us});
  }
  return answer;
}

// Whoever has put attachments has a session of its own, and may be gone when the checkpoint is
// recorded here. That it asks for more after our answer shows that its session lasted until ours.
Result<ControlAnswer> DiskOperations::begin_session(ControlCaller& caller) {
  caller.session.reset();
  TRY_ASSIGN(WriteSession begun, exports_.store().begin_session());
  caller.session.emplace(std::move(begun));
  return ControlAnswer{};
}

Result<ControlAnswer> DiskOperations::checkpoint(const User& user, const ControlRequest& request,
                                                 ControlCaller& caller) {
  Disk& disk = *user->disk();
  if (!request.attachments.empty()) {
    TRY(check_attachments(exports_.store(), request.attachments, caller));
  }
  const CutRequest cut{request.checkpoint, request.labels, request.attachments};
  TRY(when_there_is_room(disk, sealer_, caller, [&] { return disk.cut(cut); }));
  caller.session.reset();
  // Nothing to seal costs nothing to wait for.
  if (request.wait || disk.seal_status().frozen_count == 0) {
    auto sealed = seal_now(disk, caller);
    // It is made, and will be sealed; who waits for it learns that it is not yet.
    if (!sealed.ok()) sealer_.add(user);
    if (!sealed.ok() && request.wait) return std::move(sealed.error());
  }
  ControlAnswer answer;
  answer.checkpoint = request.checkpoint;
  if (is_pending(disk, request.checkpoint)) {
    sealer_.add(user);
    return answer;
  }
  TRY_ASSIGN(auto found, find_checkpoint(exports_.store(), {disk.name(), request.checkpoint}));
  answer.id = found.id;
  return answer;
}

Result<ControlAnswer> DiskOperations::fork(const User& user, const ControlRequest& request,
                                           const ControlCaller& caller) {
  Disk& disk = *user->disk();
  TRY(when_there_is_room(disk, sealer_, caller, [&] { return disk.fork(request.new_disk); }));
  sealer_.add(user);
  return ControlAnswer{};
}

Result<ControlAnswer> DiskOperations::seal(const User& user, const ControlRequest& request,
                                           const ControlCaller& caller) {
  Disk& disk = *user->disk();
  if (request.what == SealWhat::kAll) {
    TRY(when_there_is_room(disk, sealer_, caller, [&] { return disk.cut({}); }));
  }
  if (request.wait) {
    TRY(seal_now(disk, caller));
  } else if (disk.wants_seal()) {
    sealer_.add(user);
  }
  ControlAnswer answer;
  answer.sealed = !disk.wants_seal();
  return answer;
}

Result<ControlAnswer> DiskOperations::rollback(const User& user, const ControlRequest& request,
                                               const ControlCaller& caller) {
  Disk& disk = *user->disk();
  ControlAnswer answer;
  answer.client_count = user->client_count();
  if (*answer.client_count > 0 && !request.force) {
    return Error{
        Fault::kBusy, 0,
        fmt::format("disk {} has {} attached, which would find other bytes under their feet: "
                    "stop or reset them and say --force, or detach them",
                    disk.name(), plural(*answer.client_count, "client"))};
  }
  const VolumeName name{disk.name(), request.checkpoint};
  TRY(with_nothing_pending(disk, caller, [&]() -> Result<void> {
    TRY_ASSIGN(auto found, find_checkpoint(exports_.store(), name));
    answer.id = found.id;
    return disk.roll_back(found.id, found.record);
  }));
  answer.checkpoint = request.checkpoint;
  return answer;
}

Result<ControlAnswer> DiskOperations::resize(const User& user, const ControlRequest& request,
                                             const ControlCaller& caller) {
  Disk& disk = *user->disk();
  ControlAnswer answer;
  answer.before_size_bytes = disk.size_bytes();
  answer.client_count = user->client_count();
  TRY(with_nothing_pending(disk, caller, [&]() -> Result<void> {
    return disk.resize(request.size_bytes, now(caller));
  }));
  answer.size_bytes = request.size_bytes;
  return answer;
}

// What the clients have written is flushed first: they may ask again and find another server. Then
// their requests wait until all that they have sent is inside, so that connections end between two.
Result<ControlAnswer> DiskOperations::detach(const User& user, const ControlCaller& caller) {
  TRY(user->disk()->flush());
  RequestGate& gate = user->gate();
  const auto begin = Clock::now();
  gate.hold(begin + kMaxDetachHold);
  for (uint64_t before = 0, now = gate.begun_count(); Clock::now() < begin + kMaxDetachHold / 2;) {
    before = now;
    std::this_thread::sleep_for(kQuietTime);
    now = gate.begun_count();
    if (before == now) break;
  }
  LastReplies replies;
  const auto clients = sockets_.hang_up(user->name(), replies);
  gate.release();
  replies.carry(kDetachTime);
  while (sockets_.count(clients) > 0 && Clock::now() < begin + kDetachTime && !caller.stop()) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  ControlAnswer answer;
  answer.client_count = clients.size();
  answer.detached_count = clients.size() - sockets_.count(clients);
  return answer;
}

Result<ControlAnswer> DiskOperations::group_step(const User& user, const ControlRequest& request,
                                                 ControlCaller& caller) {
  Disk& disk = *user->disk();
  ControlAnswer answer;
  switch (request.operation) {
    case ControlOperation::kPrepare:
      caller.prepared[request.disk] = user;
      TRY(when_there_is_room(disk, sealer_, caller, [&] { return disk.prepare_cut(); }));
      break;
    case ControlOperation::kHold: {
      const auto at_most = std::min(milliseconds(request.at_most_ms), kMaxHold);
      TRY_ASSIGN(answer.hold, disk.hold(Clock::now() + at_most));
      break;
    }
    case ControlOperation::kCut: {
      TRY_ASSIGN(answer.generation, disk.cut_held(request.hold));
      break;
    }
    case ControlOperation::kFlushCut:
      TRY(disk.flush_cut());
      break;
    case ControlOperation::kReload:
      TRY(disk.reload(request.generation));
      sealer_.add(user);
      break;
    default:
      disk.release(request.hold);
  }
  return answer;
}

}  // namespace casdisk
