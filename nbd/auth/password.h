// Passwords: Argon2id. One hash at a time is computed in a process, whoever asks.
//
// Safe to call from any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

// What one hash takes.
struct PasswordCost {
  unsigned long long passes = 0;
  size_t memory_bytes = 0;

  friend bool operator==(const PasswordCost&, const PasswordCost&) = default;
};

// 64 MiB and two passes: about 60 ms of a core, libsodium's "interactive".
inline constexpr PasswordCost kUsualPasswordCost{2, size_t(64) << 20};

inline constexpr size_t kMinPasswordBytes = 8;
inline constexpr size_t kMaxPasswordBytes = 1024;

// As text that has algorithm, cost and salt in it. kInvalid: too short, too long, a NUL in it.
Result<std::string> hash_password(std::string_view password, PasswordCost cost);
// Not so either when there is no memory for it.
bool password_matches(const std::string& hash, std::string_view password);
// Whether the hash was made at another cost.
bool password_needs_rehash(const std::string& hash, PasswordCost cost);
// Takes as long to find wrong as a hash of that cost: for users who do not exist.
std::string hash_that_nothing_matches(PasswordCost cost);

}  // namespace casdisk
