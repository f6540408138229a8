// AccessWorld: users and tokens in a store of a test's own, with a clock that the test sets and
// passwords that cost as little as they may.
#pragma once

#include <memory>
#include <string>

#include "nbd/auth/access.h"
#include "nbd/auth/access_store.h"
#include "nbd/auth/tokens.h"
#include "nbd/auth/users.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {

// libsodium's least.
inline constexpr PasswordCost kCheapPassword{1, 8192};

class AccessWorld {
 public:
  AccessWorld();

  // In memory, or in the store's directory: the second one can be opened again, by any number.
  std::shared_ptr<AccessStore> in_memory();
  Result<std::shared_ptr<AccessStore>> in_directory() const;

  TemporaryDirectory directory;
  uint64_t now_ms = 1'800'000'000'000;
  AccessSettings settings;
};

// What must succeed in a test that is about something else.
Grant grant(const std::string& text);
UserRecord add_user(const std::shared_ptr<AccessStore>& store, const NewUser& user);
IssuedToken add_token(const std::shared_ptr<AccessStore>& store, const NewToken& token);

}  // namespace casdisk
