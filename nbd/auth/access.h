// Access: who a client is and what it may do, from the records of users and tokens.
//
// A store is guarded from its first user on (`casdisk user add`), or where a URL of an access store
// is configured: then a client needs a grant for whatever it does. Records change at any time, by
// other processes too; every call here sees them as they are at that moment. docs/ACCESS.md.
//
// Open it after fork. Safe to call from any thread.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>

#include "nbd/auth/access_settings.h"
#include "nbd/auth/audit_event.h"
#include "nbd/auth/grant.h"
#include "nbd/auth/token_text.h"

namespace casdisk {

class AccessStore;
class AuditTrail;
class Users;
struct StoredUser;

class Access {
 public:
  // Null: the store is not guarded; it may be a moment later, and asking again costs one look at a
  // directory. kNotFound, kInvalid, kDamaged, kIo, kUnavailable: it is, and
  // its records or their master key cannot be read; the error says what to do.
  static Result<std::unique_ptr<Access>> open(const AccessSettings& settings);
  // Whether it is guarded, or open()'s error, leaving nothing open. For use before a fork.
  static Result<bool> check(const AccessSettings& settings);
  explicit Access(std::shared_ptr<AccessStore> store);
  ~Access();

  // Nobody: unknown, or disabled.
  Result<std::optional<Principal>> by_uid(uid_t uid);
  // Nobody: malformed, unknown, wrong, expired, revoked, or its user is disabled; which, the answer
  // does not say. An unknown one costs about what a wrong one does; the others, which only who has
  // the secret can ask about, a record more. Notes the use, at most once a minute.
  Result<std::optional<Principal>> by_token(std::string_view text);
  // Nobody: an unknown name, a wrong password, or the user is disabled. kLimit, for every name
  // alike, after too many failures in a row: it says for how long. Takes memory and time as
  // PasswordCost says.
  Result<std::optional<Principal>> by_password(std::string_view name, std::string_view password);

  // What `nbdkit --tls-psk` reads: a line "NAME:HEX" for each enabled user with a key, by name.
  // Secret. psk_file.h writes it.
  Result<std::string> psk_file_text();

  // Adds to the audit trail. Events that come in floods are counted instead, and the next one that
  // is written says how many; so clients cannot fill the disk.
  Result<void> audit(const AuditEvent& event);

 private:
  Result<void> rehash(Users& users, const StoredUser& user, std::string_view password);

  // Fixed after construction.
  const std::shared_ptr<AccessStore> store_;
  const std::unique_ptr<AuditTrail> audit_;
};

}  // namespace casdisk
