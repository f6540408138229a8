#include "tests/unit/access_world.h"

#include "cas/kv/memory_kv.h"

namespace casdisk {

AccessWorld::AccessWorld() {
  settings.store_path = directory.path();
  settings.password_cost = kCheapPassword;
  settings.clock = [this] { return now_ms; };
}

std::shared_ptr<AccessStore> AccessWorld::in_memory() {
  auto kv = KvStore::over(std::make_unique<MemoryKv>(settings.clock), {.name = "memory"});
  auto store = AccessStore::over(std::move(kv), settings, AccessStore::MayCreate::kYes);
  CHECK(store.ok());
  return store.value();
}

Result<std::shared_ptr<AccessStore>> AccessWorld::in_directory() const {
  return AccessStore::open(settings, AccessStore::MayCreate::kYes);
}

Grant grant(const std::string& text) {
  auto parsed = parse_grant(text);
  CHECK(parsed.ok());
  return parsed.value();
}

UserRecord add_user(const std::shared_ptr<AccessStore>& store, const NewUser& user) {
  auto added = Users(store, "test").add(user);
  CHECK(added.ok());
  return added.value();
}

IssuedToken add_token(const std::shared_ptr<AccessStore>& store, const NewToken& token) {
  auto added = Tokens(store, "test").add(token);
  CHECK(added.ok());
  return added.value();
}

}  // namespace casdisk
