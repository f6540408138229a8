// Guard: what one client of a server may do, from who it is and the token that it gave.
//
//   no token, root or the server's own user, on a Unix socket   everything
//   a token                                                     what it grants; wrong: nothing
//   a user of our records, by the uid on a Unix socket          what the user is granted
//   anybody else                                                nothing
//
// Where the store is not guarded (access.h), whoever comes may do everything, and a token opens
// nothing: nobody can check it. A store becomes guarded while it is served: each permit is made
// from the records as they are then, and what cannot be read is an error, never a permit.
//
// Make it after fork. Safe to call from any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "index/fallback.h"
#include "nbd/auth/access.h"
#include "nbd/auth/event_credit.h"
#include "nbd/auth/peer.h"

namespace casdisk {

// What somebody may do. A value.
class Permit {
 public:
  static Permit everything(std::string who) { return Permit(std::move(who), true, {}); }
  static Permit nothing(std::string who) { return Permit(std::move(who), false, {}); }
  static Permit of(Principal principal);

  // `disk` is a disk's name without a checkpoint.
  bool allows(Scope scope, std::string_view disk) const;
  // Nothing is asked about it, and nothing written into the audit trail.
  bool is_everything() const { return everything_; }
  const std::string& who() const { return who_; }  // for logs and the audit trail

 private:
  Permit(std::string who, bool everything, std::optional<Principal> principal)
      : who_(std::move(who)), everything_(everything), principal_(std::move(principal)) {}

  std::string who_;
  bool everything_;
  std::optional<Principal> principal_;
};

class Guard {
 public:
  Guard(AccessSettings settings, LogSink log)
      : settings_(std::move(settings)), log_(std::move(log)) {}

  // Errors of this and permit() are those of Access::open().
  Result<bool> is_guarded();
  // `token` is as it came; empty: none.
  Result<Permit> permit(const Peer& peer, const std::string& token);

  // For the log and the audit trail: that somebody was refused, or was allowed, what he asked for.
  // `what` is "open", "rollback"; `on` is a disk or a checkpoint. Floods are counted in both. That
  // the trail cannot be written is logged, and changes nothing else.
  void note_refused(const Permit& permit, const std::string& what, const std::string& on);
  // Logs, once, that a token came where others may have read it.
  void note_token(const Peer& peer);
  void note_allowed(const Permit& permit, const std::string& what, const std::string& on);

  // Access::psk_file_text(); empty where the store is not guarded.
  Result<std::string> psk_file_text();
  FileOwner files_owner() const { return settings_.files_owner(); }

 private:
  Result<Access*> access();
  // A line that a client can cause as often as it likes.
  void log_some(const std::string& line);
  void audit(const Permit& permit, const std::string& what, const std::string& on,
             const std::string& outcome);

  // Fixed after construction.
  const AccessSettings settings_;
  const LogSink log_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::unique_ptr<Access> access_;  // once it is there it stays
  EventCredit log_credit_;
  bool has_warned_ = false;  // of tokens that others may read
};

}  // namespace casdisk
