#include "nbd/auth/guard.h"

#include <fmt/format.h>

#include <utility>

#include "nbd/auth/hidden_tokens.h"

namespace casdisk {

Permit Permit::of(Principal principal) {
  std::string who = principal_text(principal);
  return Permit(std::move(who), false, std::move(principal));
}

bool Permit::allows(Scope scope, std::string_view disk) const {
  return everything_ || (principal_ && casdisk::allows(*principal_, scope, disk));
}

// Null: not guarded. Looked at each time until it is; that costs one look for a file.
Result<Access*> Guard::access() {
  std::lock_guard lock(mutex_);
  if (!access_) {
    TRY_ASSIGN(access_, Access::open(settings_));
  }
  return access_.get();
}

Result<bool> Guard::is_guarded() {
  TRY_ASSIGN(Access * access, access());
  return access != nullptr;
}

Result<Permit> Guard::permit(const Peer& peer, const std::string& token) {
  const std::string who = peer_text(peer);
  if (token.empty() && is_owner_or_root(peer)) return Permit::everything(who);
  TRY_ASSIGN(Access * records, access());
  if (!token.empty()) {
    std::optional<Principal> owner;
    if (records != nullptr) {
      TRY_ASSIGN(owner, records->by_token(token));
    }
    if (owner) return Permit::of(std::move(*owner));
    return Permit::nothing(who + " with a token that is not valid");
  }
  if (records == nullptr) return Permit::everything(who);
  if (!peer.uid) return Permit::nothing(who + " without a token");
  TRY_ASSIGN(auto user, records->by_uid(*peer.uid));
  if (user) return Permit::of(std::move(*user));
  return Permit::nothing(who);
}

void Guard::note_refused(const Permit& permit, const std::string& what, const std::string& on) {
  log_some(
      fmt::format("refused: {} asked for {} of {}", permit.who(), what, with_tokens_hidden(on)));
  audit(permit, what, on, "refused");
}

void Guard::note_allowed(const Permit& permit, const std::string& what, const std::string& on) {
  if (!permit.is_everything()) audit(permit, what, on, "allowed");
}

void Guard::note_token(const Peer& peer) {
  if (!peer.is_overheard) return;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(has_warned_, true)) return;
  }
  log_(
      fmt::format("warning: a token came from {} in the clear: whoever listens on the way has it "
                  "now; serve with --tls, and rotate it (this is said once)",
                  peer_text(peer)));
}

void Guard::audit(const Permit& permit, const std::string& what, const std::string& on,
                  const std::string& outcome) {
  auto records = access();
  if (!records.ok() || records.value() == nullptr) return;  // who needed them has said so
  auto written = records.value()->audit({permit.who(), what, with_tokens_hidden(on), outcome});
  if (!written.ok()) log_some("the audit trail: " + describe(written.error()));
}

void Guard::log_some(const std::string& line) {
  std::optional<uint32_t> left_out_count;
  {
    const std::lock_guard lock(mutex_);
    left_out_count = log_credit_.admit(settings_.clock());
  }
  if (!left_out_count) return;
  log_(*left_out_count == 0
           ? line
           : fmt::format("{} ({} lines before it were left out)", line, *left_out_count));
}

Result<std::string> Guard::psk_file_text() {
  TRY_ASSIGN(Access * records, access());
  if (records == nullptr) return std::string();
  return records->psk_file_text();
}

}  // namespace casdisk
