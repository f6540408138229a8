#include "nbd/auth/tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "nbd/auth/access_keys.h"
#include "nbd/auth/audit_trail.h"
#include "nbd/auth/users.h"

namespace casdisk {
namespace {

// The id is hashed too: a hash is of no use in another token's record.
KeyedHash hash_of(const AccessEncryption& encryption, const Token& token) {
  Secret<kTokenIdBytes + kTokenSecretBytes> both;
  std::ranges::copy(token.id, both.bytes().begin());
  std::ranges::copy(token.secret, both.bytes().begin() + kTokenIdBytes);
  return keyed_hash(encryption.token_key, both.bytes());
}

Token new_secret(const AccessId& id) {
  Token token{.id = id.bytes};
  fill_random(token.secret);
  return token;
}

std::vector<Grant> grants_of(const NewToken& token) {
  if (!token.grants.empty()) return token.grants;
  return {Grant{kAllScopes, "*"}};
}

Error not_found(const AccessId& id) {
  return Error{Fault::kNotFound, 0,
               "token " + id.hex() + " does not exist; `casdisk token ls` lists them"};
}

}  // namespace

bool Tokens::is_secret_of(const AccessEncryption& encryption, const TokenRecord& record,
                          const Token& token) {
  return equal_in_constant_time(hash_of(encryption, token), record.hash);
}

Result<std::optional<StoredToken>> Tokens::find(const AccessId& id) {
  TRY_ASSIGN(const auto opened, store_->get_encrypted(access_key::token(id)));
  if (!opened) return std::optional<StoredToken>();
  StoredToken token{.version = opened->version};
  TRY_ASSIGN(token.record, decode_token(opened->bytes));
  if (token.record.id != id) {
    return Error{Fault::kDamaged, 0, "token " + id.hex() + ": its record is another token's"};
  }
  return std::optional<StoredToken>(std::move(token));
}

Result<StoredToken> Tokens::get(const AccessId& id) {
  TRY_ASSIGN(auto token, find(id));
  if (token) return std::move(*token);
  return not_found(id);
}

Result<std::vector<TokenRecord>> Tokens::list(const std::optional<AccessId>& user) {
  std::vector<TokenRecord> tokens;
  // Its record may be there still: where there are no TTLs, or it was made for more than a year.
  const auto is_forgotten = [now_ms = store_->now_ms()](const TokenRecord& token) {
    return token.expires_ms != 0 && token.expires_ms + kExpiredTokenKeptMs <= now_ms;
  };
  const auto take = [&](std::string_view, const DecryptedRecord& opened) -> Result<void> {
    TRY_ASSIGN(TokenRecord token, decode_token(opened.bytes));
    const bool is_one = !user || token.user == *user;
    if (is_one && !is_forgotten(token)) tokens.push_back(std::move(token));
    return {};
  };
  TRY(store_->visit_encrypted(access_key::all(access_key::Kind::kToken), take));
  std::ranges::sort(tokens, [](const TokenRecord& a, const TokenRecord& b) {
    return std::tie(a.created_ms, a.id) < std::tie(b.created_ms, b.id);
  });
  return tokens;
}

// A record outlives its token by a while, and its index entry goes with it.
void Tokens::put(AccessBatch& batch, const TokenRecord& record) {
  const uint64_t ttl_ms = store_->ttl(token_record_life_ms(record, store_->now_ms()));
  batch.put_encrypted(access_key::token(record.id), encode_token(record), ttl_ms);
  batch.plain().put(access_key::token_of(record.user, record.id), "", ttl_ms);
}

uint64_t token_record_life_ms(const TokenRecord& record, uint64_t now_ms) {
  if (record.expires_ms == 0) return 0;
  const uint64_t left_ms = record.expires_ms > now_ms ? record.expires_ms - now_ms : 0;
  return left_ms + kExpiredTokenKeptMs;
}

Result<IssuedToken> Tokens::add(const NewToken& token) {
  TRY(check_token_label(token.label));
  TRY(check_grant_count(token.grants.size()));
  Users users(store_, actor_);
  IssuedToken issued;
  TokenRecord& record = issued.record;
  record.id = AccessId::make();
  record.created_ms = store_->now_ms();
  record.expires_ms = token.lifetime_ms == 0 ? 0 : record.created_ms + token.lifetime_ms;
  record.label = token.label;
  record.grants = grants_of(token);
  Token secret = new_secret(record.id);
  issued.text = token_text(secret);
  TRY(store_->change([&](AccessBatch& batch) -> Result<void> {
    TRY_ASSIGN(const StoredUser user, users.get(token.user));
    if (user.record.is_disabled) {
      return Error{Fault::kInvalid, 0,
                   fmt::format("user {:?} is disabled: `casdisk user change {} --enable`",
                               token.user, token.user)};
    }
    record.user = user.record.id;
    record.hash = hash_of(batch.encryption(), secret);
    batch.plain().require_version(access_key::user(user.record.id), user.version);
    batch.plain().require_absent(access_key::token(record.id));
    put(batch, record);
    add_event(*store_, batch.plain(),
              {actor_, "add token", fmt::format("{} of {}", record.id.hex(), token.user), "done"});
    return {};
  }));
  wipe(std::as_writable_bytes(std::span(secret.secret)));
  return issued;
}

Result<TokenRecord> Tokens::revoke(const AccessId& id) {
  TokenRecord record;
  TRY(store_->change([&](AccessBatch& batch) -> Result<void> {
    TRY_ASSIGN(const StoredToken before, get(id));
    record = before.record;
    record.is_revoked = true;
    batch.plain().require_version(access_key::token(id), before.version);
    put(batch, record);
    add_event(*store_, batch.plain(), {actor_, "revoke token", id.hex(), "done"});
    return {};
  }));
  return record;
}

Result<std::vector<std::string>> Tokens::indexes_of(const AccessId& id) {
  std::vector<std::string> keys;
  TRY(store_->kv().visit(access_key::all(access_key::Kind::kTokenOf), [&](const KvRecord& index) {
    if (index.key.ends_with(id.text())) keys.push_back(index.key);
    return Result<void>();
  }));
  return keys;
}

// Whose it is its record says, which need not be readable to be removed.
Result<void> Tokens::remove(const AccessId& id) {
  const std::string key = access_key::token(id);
  return store_->change([&](AccessBatch& batch) -> Result<void> {
    TRY_ASSIGN(const auto record, store_->kv().get(key));
    if (!record) return not_found(id);
    TRY_ASSIGN(const auto indexes, indexes_of(id));
    batch.plain().remove(key).require_version(key, record->version);
    batch.plain().remove(access_key::last_use(id));
    for (const std::string& index : indexes) batch.plain().remove(index);
    add_event(*store_, batch.plain(), {actor_, "remove token", id.hex(), "done"});
    return {};
  });
}

Result<IssuedToken> Tokens::rotate(const AccessId& id) {
  IssuedToken issued;
  Token secret = new_secret(id);
  issued.text = token_text(secret);
  TRY(store_->change([&](AccessBatch& batch) -> Result<void> {
    TRY_ASSIGN(const StoredToken before, get(id));
    issued.record = before.record;
    const bool has_expired =
        before.record.expires_ms != 0 && before.record.expires_ms <= store_->now_ms();
    if (before.record.is_revoked || has_expired) {
      return Error{Fault::kInvalid, 0,
                   fmt::format("token {} {}: make a new one with `casdisk token add`", id.hex(),
                               before.record.is_revoked ? "is revoked" : "has expired")};
    }
    issued.record.hash = hash_of(batch.encryption(), secret);
    batch.plain().require_version(access_key::token(id), before.version);
    put(batch, issued.record);
    add_event(*store_, batch.plain(), {actor_, "rotate token", id.hex(), "done"});
    return {};
  }));
  wipe(std::as_writable_bytes(std::span(secret.secret)));
  return issued;
}

}  // namespace casdisk
