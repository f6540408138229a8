// What is stored of users, tokens, failures and events: pure functions, bytes and structs.
//
// The records of users and tokens are encrypted (envelope.h) when they are stored; the others are
// stored as they are here. docs/FORMAT.md has the bytes. All numbers in them are untrusted until
// decode_...() has taken them: kDamaged.
#pragma once

#include <array>
#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cas/os/bytes.h"
#include "cas/os/result.h"
#include "nbd/auth/crypto.h"
#include "nbd/auth/grant.h"

namespace casdisk {

// Of users and tokens: 128 random bits.
struct AccessId {
  std::array<uint8_t, 16> bytes = {};

  static AccessId make();
  static std::optional<AccessId> parse(std::string_view hex);
  std::string hex() const;
  std::string_view text() const;  // the bytes themselves
  auto operator<=>(const AccessId&) const = default;
};

inline constexpr size_t kMaxUserNameBytes = 64;
inline constexpr size_t kMaxTokenLabelBytes = 128;
inline constexpr size_t kMaxPasswordHashBytes = 127;
inline constexpr size_t kPskBytes = 32;
inline constexpr size_t kMaxAuditTextBytes = 256;

// Letters, digits, '.', '_' and '-', beginning with a letter or a digit: it stands in files in
// which ':' and '@' mean something. kInvalid.
Result<void> check_user_name(std::string_view name);
// At most kMaxTokenLabelBytes of printable ASCII. kInvalid.
Result<void> check_token_label(std::string_view label);

struct UserRecord {
  AccessId id;
  std::string name;
  bool is_disabled = false;
  std::optional<uint32_t> uid;  // the Unix user that this is
  uint64_t created_ms = 0;      // since 1970
  std::string password_hash;    // empty: no password
  std::string psk;              // kPskBytes, secret; empty: no key
  std::vector<Grant> grants;

  ~UserRecord() { wipe(psk); }
};

struct TokenRecord {
  AccessId id;
  AccessId user;
  bool is_revoked = false;
  uint64_t created_ms = 0;
  uint64_t expires_ms = 0;            // 0: never
  std::array<uint8_t, 32> hash = {};  // of the secret
  std::string label;
  std::vector<Grant> grants;
};

// Failures of one name in a row.
struct FailureRecord {
  uint32_t count = 0;
  uint64_t last_ms = 0;
};

// An AuditEvent, as it was written down.
struct AuditEntry {
  uint64_t time_ms = 0;  // of the key, not in the value
  std::string who;
  std::string what;
  std::string on;
  std::string outcome;
  uint32_t left_out_count = 0;  // events before it that were too many to write down
};

std::string encode_user(const UserRecord& record);
Result<UserRecord> decode_user(std::string_view bytes);
std::string encode_token(const TokenRecord& record);
Result<TokenRecord> decode_token(std::string_view bytes);
std::string encode_failures(const FailureRecord& record);
Result<FailureRecord> decode_failures(std::string_view bytes);
std::string encode_time(uint64_t ms);
Result<uint64_t> decode_time(std::string_view bytes);
// Texts beyond kMaxAuditTextBytes are cut.
std::string encode_audit(const AuditEntry& entry);
Result<AuditEntry> decode_audit(std::string_view bytes);

}  // namespace casdisk
