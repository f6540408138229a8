#include "nbd/auth/password.h"

#include <fmt/format.h>

#include <mutex>

#include "nbd/auth/crypto.h"

namespace casdisk {
namespace {

// One hash at a time: the memory of many at once is how a server would run out of it.
std::mutex one_at_a_time;

Result<void> check_password(std::string_view password) {
  const size_t bytes = password.size();
  if (bytes < kMinPasswordBytes || bytes > kMaxPasswordBytes) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("the password has {} bytes: give {} to {}", bytes, kMinPasswordBytes,
                             kMaxPasswordBytes)};
  }
  if (password.find('\0') != password.npos) {
    return Error{Fault::kInvalid, 0, "the password has a NUL in it: give text"};
  }
  return {};
}

}  // namespace

Result<std::string> hash_password(std::string_view password, PasswordCost cost) {
  TRY(check_password(password));
  const std::lock_guard lock(one_at_a_time);
  auto hash = argon2id(password, cost.passes, cost.memory_bytes);
  if (hash) return std::move(*hash);
  return Error{Fault::kUnavailable, 0,
               fmt::format("hashing a password takes {} MiB of memory, which there are not",
                           cost.memory_bytes >> 20)};
}

bool password_matches(const std::string& hash, std::string_view password) {
  if (password.size() > kMaxPasswordBytes) return false;
  const std::lock_guard lock(one_at_a_time);
  return argon2id_matches(hash, password);
}

bool password_needs_rehash(const std::string& hash, PasswordCost cost) {
  return !argon2id_is_of(hash, cost.passes, cost.memory_bytes);
}

std::string hash_that_nothing_matches(PasswordCost cost) {
  return fmt::format("$argon2id$v=19$m={},t={},p=1${:A<22}${:A<43}", cost.memory_bytes / 1024,
                     cost.passes, "", "");
}

}  // namespace casdisk
