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

// A fork is a copy of what is on its source, and a new disk, which somebody has to be in charge of.
Result<void> judge_fork(const Permit& permit, const ControlRequest& request) {
  if (!permit.allows(Scope::kRead, request.disk)) return no_disk_named(request.disk);
  if (permit.allows(Scope::kAdmin, request.new_disk)) return {};
  return denied(permit, request, Scope::kAdmin, request.new_disk);
}

}  // namespace

Scope scope_of(ControlOperation operation) {
  switch (operation) {
    case ControlOperation::kStatus:
    case ControlOperation::kStats:
      return Scope::kRead;
    case ControlOperation::kCheckpoint:
    case ControlOperation::kFork:
    case ControlOperation::kSeal:
    case ControlOperation::kFlush:
    case ControlOperation::kPrepare:
    case ControlOperation::kHold:
    case ControlOperation::kCut:
    case ControlOperation::kFlushCut:
    case ControlOperation::kReload:
    case ControlOperation::kRelease:
      return Scope::kCheckpoint;
    case ControlOperation::kRollback:
    case ControlOperation::kResize:
    case ControlOperation::kDetach:
    case ControlOperation::kBeginSession:
      break;
  }
  return Scope::kAdmin;
}

Result<void> judge(const Permit& permit, const ControlRequest& request) {
  const Scope scope = scope_of(request.operation);
  if (!permit.allows(scope, request.disk)) {
    if (permit.allows(Scope::kRead, request.disk)) {
      return denied(permit, request, scope, request.disk);
    }
    return no_disk_named(request.disk);
  }
  if (request.operation == ControlOperation::kFork) return judge_fork(permit, request);
  return {};
}

Result<void> ControlPermissions::check(const Peer& peer, const ControlRequest& request) {
  TRY_ASSIGN(const Permit permit, guard_.permit(peer, request.token));
  if (permit.is_everything()) return {};
  auto verdict = judge(permit, request);
  const std::string what(operation_name(request.operation));
  if (!verdict.ok()) {
    guard_.note_refused(permit, what, request.disk);
  } else if (scope_of(request.operation) != Scope::kRead) {
    guard_.note_allowed(permit, what, request.disk);
  }
  return verdict;
}

}  // namespace casdisk
