#include "nbd/control/control_permissions.h"

#include <fmt/format.h>

#include <cerrno>

#include "index/missing_disk.h"

namespace casdisk {
namespace {

// "admin:web", as one is granted.
std::string needed_text(Scope scope, const std::string& disk) {
  return grant_text(Grant{uint8_t(scope), disk});
}

Error denied(const Permit& permit, const ControlRequest& request, Scope scope,
             const std::string& disk) {
  return Error{Fault::kInvalid, EPERM,
               fmt::format("{} of disk {} is refused: it needs {}, which {} is not granted",
                           operation_name(request.operation), request.disk,
                           needed_text(scope, disk), permit.who())};
}

Error for_the_owner(const Permit& permit, const ControlRequest& request) {
  const bool attaches = request.operation == ControlOperation::kCheckpoint;
  return Error{Fault::kInvalid, EPERM,
               fmt::format("{}{} of disk {} is refused: it is for root and the server's own user, "
                           "without a token, not for {}",
                           operation_name(request.operation), attaches ? " with attachments" : "",
                           request.disk, permit.who())};
}

// A fork is a copy of what is on its source, and a new disk, which somebody has to be in charge of.
Result<void> judge_fork(const Permit& permit, const ControlRequest& request) {
  if (!permit.allows(Scope::kRead, request.disk)) return no_disk_named(request.disk);
  if (permit.allows(Scope::kAdmin, request.new_disk)) return {};
  return denied(permit, request, Scope::kAdmin, request.new_disk);
}

}  // namespace

std::optional<Scope> scope_of(const ControlRequest& request) {
  switch (request.operation) {
    case ControlOperation::kStatus:
    case ControlOperation::kStats:
      return Scope::kRead;
    case ControlOperation::kCheckpoint:
      if (!request.attachments.empty()) break;
      return Scope::kCheckpoint;
    case ControlOperation::kFork:
    case ControlOperation::kSeal:
    case ControlOperation::kFlush:
      return Scope::kCheckpoint;
    case ControlOperation::kRollback:
    case ControlOperation::kResize:
    case ControlOperation::kDetach:
      return Scope::kAdmin;
    case ControlOperation::kBeginSession:
    case ControlOperation::kPrepare:
    case ControlOperation::kHold:
    case ControlOperation::kCut:
    case ControlOperation::kFlushCut:
    case ControlOperation::kReload:
    case ControlOperation::kRelease:
      break;
  }
  return std::nullopt;
}

Result<void> judge(const Permit& permit, const ControlRequest& request) {
  if (permit.is_everything()) return {};
  const auto scope = scope_of(request);
  if (scope && permit.allows(*scope, request.disk)) {
    return request.operation == ControlOperation::kFork ? judge_fork(permit, request)
                                                        : Result<void>();
  }
  if (!permit.allows(Scope::kRead, request.disk)) return no_disk_named(request.disk);
  return scope ? denied(permit, request, *scope, request.disk) : for_the_owner(permit, request);
}

Result<void> ControlPermissions::check(const Peer& peer, const ControlRequest& request) {
  TRY_ASSIGN(const Permit permit, guard_.permit(peer, request.token));
  if (permit.is_everything()) return {};
  auto verdict = judge(permit, request);
  const std::string what(operation_name(request.operation));
  if (!verdict.ok()) {
    guard_.note_refused(permit, what, request.disk);
  } else if (scope_of(request) != Scope::kRead) {
    guard_.note_allowed(permit, what, request.disk);
  }
  return verdict;
}

}  // namespace casdisk
