// The keys of an access store's records (docs/FORMAT.md). Pure functions.
#pragma once

#include <string>

#include "cas/kv/key_codec.h"
#include "nbd/auth/access_records.h"

namespace casdisk::access_key {

enum class Kind : uint8_t {
  kSettings = 1,  // one record, encrypted: what tokens are hashed with
  kUser = 2,      // id: a UserRecord, encrypted
  kUserName = 3,  // name: the id
  kUserUid = 4,   // number: the id
  kToken = 5,     // id: a TokenRecord, encrypted
  kTokenOf = 6,   // user's id, token's id: nothing
  kFailures = 7,  // name, whether there is such a user or not: a FailureRecord
  kLastUse = 8,   // id of a user or a token: when it was last used
  kEvent = 9,     // number (ms since 1970), 8 random bytes: an AuditEntry
};

inline KvKeyWriter of(Kind kind) { return KvKeyWriter(uint8_t(kind)); }
inline std::string all(Kind kind) { return of(kind).take(); }  // the prefix

inline std::string settings() { return of(Kind::kSettings).take(); }
inline std::string user(const AccessId& id) { return of(Kind::kUser).raw(id.text()).take(); }
inline std::string user_name(std::string_view name) {
  return of(Kind::kUserName).name(name).take();
}
inline std::string user_uid(uint32_t uid) { return of(Kind::kUserUid).number(uid).take(); }
inline std::string token(const AccessId& id) { return of(Kind::kToken).raw(id.text()).take(); }
inline std::string tokens_of(const AccessId& user) {
  return of(Kind::kTokenOf).raw(user.text()).take();
}
inline std::string token_of(const AccessId& user, const AccessId& token) {
  return of(Kind::kTokenOf).raw(user.text()).raw(token.text()).take();
}
inline std::string failures(std::string_view name) { return of(Kind::kFailures).name(name).take(); }
inline std::string last_use(const AccessId& id) { return of(Kind::kLastUse).raw(id.text()).take(); }
inline std::string event(uint64_t time_ms, std::string_view random) {
  return of(Kind::kEvent).number(time_ms).raw(random).take();
}

}  // namespace casdisk::access_key
