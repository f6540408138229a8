// Users: their records, and how these are found and changed.
//
// A user has a random id; its name, and its Unix user's number if it has one, lead to the id. A
// change is one conditional batch with its entry in the audit trail: it happens as a whole or not,
// and of two processes that make the same user one wins. Safe to call from any thread.
#pragma once

#include <functional>
#include <memory>

#include "nbd/auth/access_records.h"
#include "nbd/auth/access_store.h"

namespace casdisk {

struct NewUser {
  std::string name;
  std::optional<uint32_t> uid = {};
  std::vector<Grant> grants = {};
  std::string password_hash = {};  // hash_password()
  std::string psk = {};            // new_psk()
};

struct StoredUser {
  UserRecord record;
  uint64_t version = 0;
};

std::string new_psk();

class Users {
 public:
  // `actor`: who makes changes here, for the audit trail.
  Users(std::shared_ptr<AccessStore> store, std::string actor)
      : store_(std::move(store)), actor_(std::move(actor)) {}

  // Nothing: there is none. kDamaged: the records contradict each other.
  Result<std::optional<StoredUser>> find(std::string_view name);
  Result<std::optional<StoredUser>> find(const AccessId& id);
  Result<std::optional<StoredUser>> find_uid(uint32_t uid);
  // kNotFound.
  Result<StoredUser> get(const std::string& name);
  // By name.
  Result<std::vector<UserRecord>> list();

  // kExists: the name, or the Unix user, is taken; nothing was changed. kInvalid.
  Result<UserRecord> add(const NewUser& user);
  // What `edit` makes of the record; of its fields id, name and created_ms stay. `what` is for the
  // audit trail. kNotFound; kExists for a Unix user that is another's; what `edit` fails with.
  using Edit = std::function<Result<void>(UserRecord& record)>;
  Result<UserRecord> change(const std::string& name, std::string_view what, const Edit& edit);
  // With all its tokens. Disabled first: a token that is made meanwhile is refused. Its record need
  // not be readable: nobody is the user then. kNotFound; kDamaged where another user's record is
  // what the name leads to.
  Result<void> remove(const std::string& name);

  // When it was last used, ms since 1970; 0: never, or longer ago than a year. Of tokens too.
  Result<uint64_t> last_use(const AccessId& id);
  // At most once a minute, and not at all where that fails: whoever may read may go on when the
  // store is full.
  void note_use(const AccessId& id);

 private:
  Result<void> edit_in(AccessBatch& batch, const StoredUser& before, const UserRecord& after,
                       std::string_view what);
  Result<void> check_uid_is_free(uint32_t uid);
  Result<AccessId> disable(const std::string& name);
  Result<void> remove_tokens(const AccessId& user);
  // The keys of Unix users' numbers that lead to the user.
  Result<std::vector<std::string>> uids_of(const AccessId& user);

  // Fixed after construction.
  const std::shared_ptr<AccessStore> store_;
  const std::string actor_;
};

}  // namespace casdisk
