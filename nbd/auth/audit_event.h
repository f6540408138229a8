// AuditEvent: something that was done or refused, as the audit trail is told.
#pragma once

#include <string>

namespace casdisk {

// No secrets: of a client's export name, only
// split_token().name.
struct AuditEvent {
  std::string who;      // principal_text(), "uid 1000", "nobody"
  std::string what;     // "open", "checkpoint", "rollback"
  std::string on;       // a disk, a user, a token's id
  std::string outcome;  // "allowed", "refused", or an error's words
};

}  // namespace casdisk
