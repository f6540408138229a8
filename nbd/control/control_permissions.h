// ControlPermissions: who may ask a server for what (docs/CONTROL.md has the table).
//
// Safe to call from any thread.
#pragma once

#include <optional>

#include "nbd/auth/guard.h"
#include "nbd/control/control_protocol.h"

namespace casdisk {

// What a request needs on the disk that it is about. Nothing: no grant is enough. The steps of a
// group, sessions and attachments are of use only to who has the store's files, and in others'
// hands they stall the disk or gc.
std::optional<Scope> scope_of(const ControlRequest& request);

// kInvalid with EPERM names what is missing, to one who may read the disk; to anybody else it is
// kNotFound, in the words of a disk that does not exist. Whether it does is not looked up.
Result<void> judge(const Permit& permit, const ControlRequest& request);

class ControlPermissions {
 public:
  explicit ControlPermissions(Guard& guard) : guard_(guard) {}

  // Whether it is worth listening to others than root and our own user.
  Result<bool> has_guests() { return guard_.is_guarded(); }

  // judge(), by the records as they are now; refusals, and what guests change, are noted. Errors
  // are those of Guard::permit(), too.
  Result<void> check(const Peer& peer, const ControlRequest& request);

 private:
  Guard& guard_;
};

}  // namespace casdisk
