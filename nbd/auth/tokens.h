// Tokens: secrets that stand for a user, each with grants of its own, which can only narrow the
// user's.
//
// Of a secret only a keyed hash is stored; its text is given once. Changes are conditional batches
// with their entries in the audit trail. Safe to call from any thread.
#pragma once

#include <memory>

#include "nbd/auth/access_records.h"
#include "nbd/auth/access_store.h"
#include "nbd/auth/token_text.h"

namespace casdisk {

struct NewToken {
  std::string user;
  std::string label = {};
  std::vector<Grant> grants = {};  // none: all that the user has, now and later
  uint64_t lifetime_ms = 0;        // 0: for ever
};

struct IssuedToken {
  TokenRecord record;
  std::string text;  // secret; nobody can ask for it again

  ~IssuedToken() { wipe(text); }
};

struct StoredToken {
  TokenRecord record;
  uint64_t version = 0;
};

// How long an expired token is still listed.
inline constexpr uint64_t kExpiredTokenKeptMs = uint64_t(30) * 86400 * 1000;

// For how long its record is kept from now on; 0: for ever.
uint64_t token_record_life_ms(const TokenRecord& record, uint64_t now_ms);

class Tokens {
 public:
  Tokens(std::shared_ptr<AccessStore> store, std::string actor)
      : store_(std::move(store)), actor_(std::move(actor)) {}

  Result<std::optional<StoredToken>> find(const AccessId& id);
  // Of one user, or of all; by when they were made.
  Result<std::vector<TokenRecord>> list(const std::optional<AccessId>& user);
  // Whether `secret` is the token's. Takes as long whether it is or not.
  static bool is_secret_of(const AccessEncryption& encryption, const TokenRecord& record,
                           const Token& token);

  // kNotFound: no such user; kInvalid: it is disabled, or the label is none.
  Result<IssuedToken> add(const NewToken& token);
  // It ends at once, and stays listed. kNotFound.
  Result<TokenRecord> revoke(const AccessId& id);
  // It ends, and is not listed any more; whatever is in its record. kNotFound.
  Result<void> remove(const AccessId& id);
  // A new secret; the one before ends at once. kInvalid: it is revoked or has expired.
  Result<IssuedToken> rotate(const AccessId& id);

 private:
  Result<StoredToken> get(const AccessId& id);
  // The keys of what leads from users to the token.
  Result<std::vector<std::string>> indexes_of(const AccessId& id);
  void put(AccessBatch& batch, const TokenRecord& record);

  // Fixed after construction.
  const std::shared_ptr<AccessStore> store_;
  const std::string actor_;
};

}  // namespace casdisk
