// Grants: what somebody may do on which disks, and who that somebody is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cas/os/result.h"

namespace casdisk {

// What may be done on a disk.
enum class Scope : uint8_t {
  kRead = 1,        // read its bytes and its checkpoints' bytes; see that it is there
  kWrite = 2,       // write, trim and zero it; includes kRead
  kCheckpoint = 4,  // make checkpoints and labels, fork from them
  kAdmin = 8,       // roll back, resize, rename, remove; includes all others
};
inline constexpr uint8_t kAllScopes = 15;

// Some scopes on every disk whose name matches `pattern`: '*' is any text, '?' any one byte. No
// grant forbids anything: what none allows is forbidden.
struct Grant {
  uint8_t scopes = 0;
  std::string pattern;

  friend bool operator==(const Grant&, const Grant&) = default;
};

inline constexpr size_t kMaxGrants = 64;  // of a user or a token
inline constexpr size_t kMaxPatternBytes = 128;

// "read,write:build-*", "admin:*". kInvalid says what is wrong with it.
Result<Grant> parse_grant(std::string_view text);
std::string grant_text(const Grant& grant);
// Whether parse_grant() could have made it.
bool is_valid(const Grant& grant);
// kInvalid for more than a record has.
Result<void> check_grant_count(size_t count);
// Whether one of them allows it.
bool any_allows(std::span<const Grant> grants, Scope scope, std::string_view disk);

// Who does something, once that is proved.
struct Principal {
  std::string user;
  std::string token_id;             // empty: the user in person
  std::vector<Grant> grants;        // of the user
  std::vector<Grant> token_grants;  // of the token, which can only narrow the user's
};

// "user alice", "token 3f..e1 of alice": for logs and the audit trail.
std::string principal_text(const Principal& principal);

// `disk` is a disk's name without a checkpoint.
bool allows(const Principal& principal, Scope scope, std::string_view disk);

}  // namespace casdisk
