#include "nbd/auth/access.h"

#include "cas/os/hex.h"
#include "nbd/auth/access_keys.h"
#include "nbd/auth/access_store.h"
#include "nbd/auth/audit_trail.h"
#include "nbd/auth/lockout.h"
#include "nbd/auth/tokens.h"
#include "nbd/auth/users.h"

namespace casdisk {
namespace {

using Nobody = std::optional<Principal>;

Principal person(const UserRecord& user) { return {.user = user.name, .grants = user.grants}; }

Principal bearer(const UserRecord& user, const TokenRecord& token) {
  return {.user = user.name,
          .token_id = token.id.hex(),
          .grants = user.grants,
          .token_grants = token.grants};
}

bool is_over(const TokenRecord& token, uint64_t now_ms) {
  return token.is_revoked || (token.expires_ms != 0 && token.expires_ms <= now_ms);
}

}  // namespace

Access::Access(std::shared_ptr<AccessStore> store)
    : store_(std::move(store)), audit_(std::make_unique<AuditTrail>(store_)) {}

Access::~Access() = default;

Result<std::unique_ptr<Access>> Access::open(const AccessSettings& settings) {
  TRY_ASSIGN(auto store, AccessStore::open(settings, AccessStore::MayCreate::kNo));
  if (store == nullptr) return std::unique_ptr<Access>();
  return std::make_unique<Access>(std::move(store));
}

Result<bool> Access::check(const AccessSettings& settings) {
  TRY_ASSIGN(const auto store, AccessStore::open(settings, AccessStore::MayCreate::kNo));
  return store != nullptr;
}

Result<std::optional<Principal>> Access::by_uid(uid_t uid) {
  Users users(store_, "");
  TRY_ASSIGN(const auto user, users.find_uid(uid));
  if (!user || user->record.is_disabled) return Nobody();
  users.note_use(user->record.id);
  return Nobody(person(user->record));
}

Result<std::optional<Principal>> Access::by_token(std::string_view text) {
  const auto token = parse_token(text);
  TRY_ASSIGN(const auto encryption, store_->encryption());
  if (!token || encryption == nullptr) return Nobody();
  const AccessId id{token->id};
  TRY_ASSIGN(const auto stored, Tokens(store_, "").find(id));
  if (!stored) {
    // As much work as for a token that exists: a record that is fetched and opened, a hash.
    TRY(store_->get_encrypted(access_key::settings()));
    (void)Tokens::is_secret_of(*encryption, TokenRecord{.id = id}, *token);
    return Nobody();
  }
  if (!Tokens::is_secret_of(*encryption, stored->record, *token)) return Nobody();
  Users users(store_, "");
  TRY_ASSIGN(const auto user, users.find(stored->record.user));
  if (!user || user->record.is_disabled || is_over(stored->record, store_->now_ms())) {
    return Nobody();
  }
  users.note_use(id);
  return Nobody(bearer(user->record, stored->record));
}

Result<std::optional<Principal>> Access::by_password(std::string_view name,
                                                     std::string_view password) {
  const PasswordCost cost = store_->settings().password_cost;
  const std::string whom(name);
  if (!check_user_name(whom).ok()) {
    (void)password_matches(hash_that_nothing_matches(cost), password);
    return Nobody();
  }
  TRY(count_attempt(*store_, whom));
  Users users(store_, "user " + whom);
  TRY_ASSIGN(const auto user, users.find(whom));
  const bool has_password = user && !user->record.password_hash.empty();
  const std::string hash =
      has_password ? user->record.password_hash : hash_that_nothing_matches(cost);
  const bool is_right = password_matches(hash, password) && has_password;
  if (!is_right || user->record.is_disabled) return Nobody();
  TRY(clear_attempts(*store_, whom));
  // What is kept is as good as before where that fails.
  if (password_needs_rehash(hash, cost)) (void)rehash(users, *user, password);
  users.note_use(user->record.id);
  return Nobody(person(user->record));
}

Result<void> Access::rehash(Users& users, const StoredUser& user, std::string_view password) {
  TRY_ASSIGN(const std::string hash, hash_password(password, store_->settings().password_cost));
  const std::string before = user.record.password_hash;
  TRY(users.change(user.record.name, "rehash password", [&](UserRecord& record) {
    // Somebody may have set another password meanwhile.
    if (record.password_hash == before) record.password_hash = hash;
    return Result<void>();
  }));
  return {};
}

Result<std::string> Access::psk_file_text() {
  TRY_ASSIGN(const auto users, Users(store_, "").list());
  std::string text;
  text.reserve(users.size() * (kMaxUserNameBytes + 2 * kPskBytes + 2));  // never moved
  for (const UserRecord& user : users) {
    if (user.is_disabled || user.psk.empty()) continue;
    std::string hex = hex_of(as_bytes(user.psk));
    const WipedAtEnd wiped(hex);
    text += user.name;
    text += ':';
    text += hex;
    text += '\n';
  }
  return text;
}

Result<void> Access::audit(const AuditEvent& event) { return audit_->write(event); }

}  // namespace casdisk
