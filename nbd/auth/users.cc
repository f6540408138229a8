#include "nbd/auth/users.h"

#include <fmt/format.h>

#include <algorithm>

#include "nbd/auth/access_keys.h"
#include "nbd/auth/audit_trail.h"

namespace casdisk {
namespace {

constexpr uint64_t kNoteEveryMs = 60'000;
constexpr uint64_t kNoteKeptMs = uint64_t(365) * 86400 * 1000;
constexpr size_t kTokensPerBatch = 32;  // two or three operations each; etcd takes 128

Error not_found(const std::string& name) {
  return Error{Fault::kNotFound, 0,
               fmt::format("user {:?} does not exist; `casdisk user ls` lists them", name)};
}

Error contradiction(const AccessStore& store, const char* what, std::string_view name) {
  return Error{Fault::kDamaged, 0,
               fmt::format("access store {}: the {} {} leads to another user's record",
                           store.name(), what, name)};
}

std::optional<AccessId> id_of(std::string_view bytes) {
  AccessId id;
  if (bytes.size() != id.bytes.size()) return std::nullopt;
  std::ranges::copy(bytes, id.bytes.begin());
  return id;
}

}  // namespace

std::string new_psk() {
  std::array<uint8_t, kPskBytes> key;
  fill_random(key);
  std::string psk(reinterpret_cast<const char*>(key.data()), key.size());
  wipe(std::as_writable_bytes(std::span(key)));
  return psk;
}

Result<std::optional<StoredUser>> Users::find(const AccessId& id) {
  TRY_ASSIGN(const auto opened, store_->get_encrypted(access_key::user(id)));
  if (!opened) return std::optional<StoredUser>();
  StoredUser user{.version = opened->version};
  TRY_ASSIGN(user.record, decode_user(opened->bytes));
  if (user.record.id != id) return contradiction(*store_, "id", id.hex());
  return std::optional<StoredUser>(std::move(user));
}

Result<std::optional<StoredUser>> Users::find(std::string_view name) {
  TRY_ASSIGN(const auto index, store_->kv().get(access_key::user_name(name)));
  if (!index) return std::optional<StoredUser>();
  const auto id = id_of(index->bytes);
  if (!id) return contradiction(*store_, "name", name);
  TRY_ASSIGN(auto user, find(*id));
  if (user && user->record.name != name) return contradiction(*store_, "name", name);
  return user;
}

Result<std::optional<StoredUser>> Users::find_uid(uint32_t uid) {
  TRY_ASSIGN(const auto index, store_->kv().get(access_key::user_uid(uid)));
  if (!index) return std::optional<StoredUser>();
  const auto id = id_of(index->bytes);
  if (!id) return contradiction(*store_, "uid", std::to_string(uid));
  TRY_ASSIGN(auto user, find(*id));
  if (user && user->record.uid != uid) {
    return contradiction(*store_, "uid", std::to_string(uid));
  }
  return user;
}

Result<StoredUser> Users::get(const std::string& name) {
  TRY(check_user_name(name));
  TRY_ASSIGN(auto user, find(name));
  if (!user) return not_found(name);
  return std::move(*user);
}

Result<std::vector<UserRecord>> Users::list() {
  std::vector<UserRecord> users;
  const auto take = [&](std::string_view, const DecryptedRecord& opened) -> Result<void> {
    TRY_ASSIGN(UserRecord user, decode_user(opened.bytes));
    users.push_back(std::move(user));
    return {};
  };
  TRY(store_->visit_encrypted(access_key::all(access_key::Kind::kUser), take));
  std::ranges::sort(users, {}, &UserRecord::name);
  return users;
}

Result<void> Users::check_uid_is_free(uint32_t uid) {
  TRY_ASSIGN(const auto other, find_uid(uid));
  if (!other) return {};
  return Error{Fault::kExists, 0,
               fmt::format("uid {} is user {:?} already: one user for each Unix user", uid,
                           other->record.name)};
}

Result<UserRecord> Users::add(const NewUser& user) {
  TRY(check_user_name(user.name));
  TRY(check_grant_count(user.grants.size()));
  UserRecord record{.id = AccessId::make(),
                    .name = user.name,
                    .uid = user.uid,
                    .created_ms = store_->now_ms(),
                    .password_hash = user.password_hash,
                    .psk = user.psk,
                    .grants = user.grants};
  TRY(store_->change([&](AccessBatch& batch) -> Result<void> {
    TRY_ASSIGN(const bool is_taken, store_->kv().exists(access_key::user_name(user.name)));
    if (is_taken) {
      return Error{Fault::kExists, 0, fmt::format("user {:?} exists already", user.name)};
    }
    const std::string name_key = access_key::user_name(user.name);
    const std::string record_key = access_key::user(record.id);
    std::string bytes = encode_user(record);
    const WipedAtEnd wiped(bytes);
    batch.put_encrypted(record_key, bytes);
    batch.plain().require_absent(record_key);
    batch.plain().put(name_key, record.id.text()).require_absent(name_key);
    if (user.uid) {
      TRY(check_uid_is_free(*user.uid));
      const std::string uid_key = access_key::user_uid(*user.uid);
      batch.plain().put(uid_key, record.id.text()).require_absent(uid_key);
    }
    add_event(*store_, batch.plain(), {actor_, "add user", user.name, "done"});
    return {};
  }));
  return record;
}

Result<void> Users::edit_in(AccessBatch& batch, const StoredUser& before, const UserRecord& after,
                            std::string_view what) {
  const std::string key = access_key::user(after.id);
  std::string bytes = encode_user(after);
  const WipedAtEnd wiped(bytes);
  batch.put_encrypted(key, bytes);
  batch.plain().require_version(key, before.version);
  if (before.record.uid != after.uid) {
    if (before.record.uid) batch.plain().remove(access_key::user_uid(*before.record.uid));
    if (after.uid) {
      TRY(check_uid_is_free(*after.uid));
      const std::string uid_key = access_key::user_uid(*after.uid);
      batch.plain().put(uid_key, after.id.text()).require_absent(uid_key);
    }
  }
  add_event(*store_, batch.plain(), {actor_, std::string(what), after.name, "done"});
  return {};
}

Result<UserRecord> Users::change(const std::string& name, std::string_view what, const Edit& edit) {
  UserRecord after;
  TRY(store_->change([&](AccessBatch& batch) -> Result<void> {
    TRY_ASSIGN(const StoredUser before, get(name));
    after = before.record;
    TRY(edit(after));
    CHECK(after.id == before.record.id && after.name == before.record.name &&
          after.created_ms == before.record.created_ms);
    TRY(check_grant_count(after.grants.size()));
    return edit_in(batch, before, after, what);
  }));
  return after;
}

// Where the record is of no use to anybody, there is nothing to disable.
Result<AccessId> Users::disable(const std::string& name) {
  const auto user = change(name, "revoke user", [](UserRecord& record) {
    record.is_disabled = true;
    return Result<void>();
  });
  if (user.ok()) return user.value().id;
  if (user.error().fault != Fault::kDamaged) return user.error();
  TRY_ASSIGN(const auto index, store_->kv().get(access_key::user_name(name)));
  const auto id = index ? id_of(index->bytes) : std::nullopt;
  if (!id || find(*id).ok()) return user.error();
  return *id;
}

Result<void> Users::remove_tokens(const AccessId& user) {
  const std::string prefix = access_key::tokens_of(user);
  for (;;) {
    TRY_ASSIGN(const KvPage page, store_->kv().list(prefix, {.limit_count = kTokensPerBatch}));
    if (page.records.empty()) return {};
    KvBatch batch;
    for (const KvRecord& index : page.records) {
      const auto token = id_of(std::string_view(index.key).substr(prefix.size()));
      if (token) batch.remove(access_key::token(*token)).remove(access_key::last_use(*token));
      batch.remove(index.key);
    }
    TRY(store_->kv().write(batch));
  }
}

Result<std::vector<std::string>> Users::uids_of(const AccessId& user) {
  std::vector<std::string> keys;
  TRY(store_->kv().visit(access_key::all(access_key::Kind::kUserUid), [&](const KvRecord& index) {
    if (index.value.bytes == user.text()) keys.push_back(index.key);
    return Result<void>();
  }));
  return keys;
}

Result<void> Users::remove(const std::string& name) {
  TRY_ASSIGN(const AccessId id, disable(name));
  TRY(remove_tokens(id));
  const std::string key = access_key::user(id);
  const std::string name_key = access_key::user_name(name);
  return store_->change([&](AccessBatch& batch) -> Result<void> {
    TRY_ASSIGN(const auto record, store_->kv().get(key));
    TRY_ASSIGN(const auto index, store_->kv().get(name_key));
    if (!record || !index || index->bytes != id.text()) return not_found(name);
    TRY_ASSIGN(const auto uid_keys, uids_of(id));
    batch.plain().remove(key).require_version(key, record->version);
    batch.plain().remove(name_key).require_version(name_key, index->version);
    batch.plain().remove(access_key::last_use(id));
    for (const std::string& uid_key : uid_keys) batch.plain().remove(uid_key);
    add_event(*store_, batch.plain(), {actor_, "remove user", name, "done"});
    return {};
  });
}

Result<uint64_t> Users::last_use(const AccessId& id) {
  TRY_ASSIGN(const auto value, store_->kv().get(access_key::last_use(id)));
  if (!value) return uint64_t(0);
  return decode_time(value->bytes);
}

void Users::note_use(const AccessId& id) {
  const uint64_t now_ms = store_->now_ms();
  const auto last_ms = last_use(id);
  if (last_ms.ok() && now_ms >= last_ms.value() && now_ms - last_ms.value() < kNoteEveryMs) return;
  (void)store_->kv().put(access_key::last_use(id), encode_time(now_ms),
                         {.ttl_ms = store_->ttl(kNoteKeptMs)});
}

}  // namespace casdisk
