#include "nbd/auth/access.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "cas/os/hex.h"
#include "nbd/auth/access_keys.h"
#include "nbd/auth/audit_trail.h"
#include "nbd/auth/lockout.h"
#include "tests/support/result_assertions.h"
#include "tests/unit/access_world.h"

namespace casdisk {
namespace {

using std::string;

constexpr uint64_t kMinuteMs = 60'000;

class AccessTest : public testing::Test {
 protected:
  std::optional<Principal> by_token(const string& text) {
    auto who = access_.by_token(text);
    EXPECT_OK(who);
    return who.ok() ? who.value() : std::nullopt;
  }
  std::optional<Principal> by_password(const string& name, const string& password) {
    auto who = access_.by_password(name, password);
    EXPECT_OK(who);
    return who.ok() ? who.value() : std::nullopt;
  }
  void add_with_password(const string& name, const string& password) {
    auto hash = hash_password(password, kCheapPassword);
    ASSERT_OK(hash);
    add_user(store_, {.name = name, .grants = {grant("read:*")}, .password_hash = hash.value()});
  }
  void disable(const string& name) {
    ASSERT_OK(users_.change(name, "revoke user", [](UserRecord& record) {
      record.is_disabled = true;
      return Result<void>();
    }));
  }
  std::vector<AuditEntry> events() {
    std::vector<AuditEntry> entries;
    EXPECT_OK(visit_events(*store_, 0, [&](const AuditEntry& entry) {
      entries.push_back(entry);
      return Result<void>();
    }));
    return entries;
  }
  void pass(uint64_t ms) { world_.now_ms += ms; }

  AccessWorld world_;
  std::shared_ptr<AccessStore> store_ = world_.in_memory();
  Users users_{store_, "test"};
  Tokens tokens_{store_, "test"};
  Access access_{store_};
};

TEST_F(AccessTest, ATokenStandsForItsUserAndNarrowsIt) {
  add_user(store_, {.name = "ci", .grants = {grant("read,write:build-*")}});
  const IssuedToken token = add_token(store_, {.user = "ci", .grants = {grant("read:*")}});
  const auto who = by_token(token.text);
  ASSERT_TRUE(who);
  EXPECT_EQ(who->user, "ci");
  EXPECT_EQ(who->token_id, token.record.id.hex());
  EXPECT_TRUE(allows(*who, Scope::kRead, "build-7"));
  EXPECT_FALSE(allows(*who, Scope::kWrite, "build-7"));
  EXPECT_FALSE(allows(*who, Scope::kRead, "web"));
  const IssuedToken whole = add_token(store_, {.user = "ci"});
  EXPECT_TRUE(allows(*by_token(whole.text), Scope::kWrite, "build-7"));
  // What the user gets or loses, its tokens do.
  ASSERT_OK(users_.change("ci", "change user", [](UserRecord& record) {
    record.grants = {grant("read:web")};
    return Result<void>();
  }));
  EXPECT_FALSE(allows(*by_token(whole.text), Scope::kRead, "build-7"));
  EXPECT_TRUE(allows(*by_token(whole.text), Scope::kRead, "web"));
}

TEST_F(AccessTest, OnlyTheExactTokenIsOne) {
  add_user(store_, {.name = "ci"});
  const IssuedToken token = add_token(store_, {.user = "ci"});
  const IssuedToken other = add_token(store_, {.user = "ci"});
  ASSERT_TRUE(by_token(token.text));
  for (size_t at = 4; at < token.text.size(); at++) {
    string changed = token.text;
    changed[at] = changed[at] == '0' ? '1' : '0';
    EXPECT_FALSE(by_token(changed)) << at;
  }
  EXPECT_FALSE(by_token(""));
  EXPECT_FALSE(by_token(token.text.substr(0, 50)));
  // The secret of one under the id of the other.
  const size_t id_end = 4 + 2 * kTokenIdBytes;
  EXPECT_FALSE(by_token(token.text.substr(0, id_end) + other.text.substr(id_end)));
}

TEST_F(AccessTest, NoRecordHasTheSecretInIt) {
  add_user(store_, {.name = "ci", .psk = new_psk()});
  const IssuedToken token = add_token(store_, {.user = "ci", .label = "runner"});
  const auto psk = users_.get("ci").value().record.psk;
  const auto secret = parse_token(token.text)->secret;
  const string secret_text(reinterpret_cast<const char*>(secret.data()), secret.size());
  size_t count = 0;
  ASSERT_OK(store_->kv().dump([&](const KvRecord& record) {
    count++;
    for (const string& what : {secret_text, hex_of(as_bytes(secret_text)), psk,
                               hex_of(as_bytes(psk)), string("runner")}) {
      EXPECT_EQ((record.key + record.value.bytes).find(what), string::npos);
    }
    return Result<void>();
  }));
  EXPECT_GE(count, 7u) << "settings, a user, its name, a token, its index, two events";
}

TEST_F(AccessTest, ATokenExpires) {
  add_user(store_, {.name = "ci"});
  const IssuedToken token = add_token(store_, {.user = "ci", .lifetime_ms = 10 * kMinuteMs});
  const IssuedToken forever = add_token(store_, {.user = "ci"});
  pass(10 * kMinuteMs - 1);
  EXPECT_TRUE(by_token(token.text));
  pass(1);
  EXPECT_FALSE(by_token(token.text));
  EXPECT_FAULT(tokens_.rotate(token.record.id), Fault::kInvalid);
  EXPECT_EQ(tokens_.list(std::nullopt).value().size(), 2u) << "it is still listed";
  pass(kExpiredTokenKeptMs);
  EXPECT_EQ(tokens_.list(std::nullopt).value().size(), 1u) << "and gone in the end";
  EXPECT_TRUE(by_token(forever.text));
}

TEST_F(AccessTest, ARevokedTokenIsOver) {
  add_user(store_, {.name = "ci"});
  const IssuedToken token = add_token(store_, {.user = "ci"});
  ASSERT_OK(tokens_.revoke(token.record.id));
  EXPECT_FALSE(by_token(token.text));
  EXPECT_TRUE(tokens_.find(token.record.id).value()->record.is_revoked);
  EXPECT_FAULT(tokens_.rotate(token.record.id), Fault::kInvalid);
  ASSERT_OK(tokens_.remove(token.record.id));
  EXPECT_FALSE(by_token(token.text));
  EXPECT_FAULT(tokens_.revoke(token.record.id), Fault::kNotFound);
  EXPECT_TRUE(
      store_->kv().list(access_key::all(access_key::Kind::kTokenOf)).value().records.empty());
}

TEST_F(AccessTest, ARotatedTokenHasANewSecretAndTheOldIsDead) {
  add_user(store_, {.name = "ci"});
  const IssuedToken before =
      add_token(store_, {.user = "ci", .label = "x", .lifetime_ms = kMinuteMs});
  auto after = tokens_.rotate(before.record.id);
  ASSERT_OK(after);
  EXPECT_EQ(after.value().record.id, before.record.id);
  EXPECT_EQ(after.value().record.label, "x");
  EXPECT_EQ(after.value().record.expires_ms, before.record.expires_ms);
  EXPECT_FALSE(by_token(before.text));
  EXPECT_TRUE(by_token(after.value().text));
}

TEST_F(AccessTest, ADisabledUserIsNobodyInEveryWay) {
  auto hash = hash_password("password", kCheapPassword);
  ASSERT_OK(hash);
  add_user(store_, {.name = "ci", .uid = 7, .password_hash = hash.value(), .psk = new_psk()});
  const IssuedToken token = add_token(store_, {.user = "ci"});
  const auto who = by_token(token.text);
  const auto person = access_.by_uid(7);
  ASSERT_TRUE(who);
  ASSERT_TRUE(person.ok() && person.value());
  EXPECT_TRUE(by_password("ci", "password"));
  EXPECT_FALSE(access_.psk_file_text().value().empty());
  disable("ci");
  EXPECT_FALSE(by_token(token.text));
  EXPECT_FALSE(access_.by_uid(7).value());
  EXPECT_FALSE(by_password("ci", "password"));
  EXPECT_EQ(access_.psk_file_text().value(), "");
  EXPECT_FAULT(tokens_.add({.user = "ci"}), Fault::kInvalid);
}

TEST_F(AccessTest, AnotherUserOfTheSameNameIsNotTheTokens) {
  add_user(store_, {.name = "ci"});
  const IssuedToken token = add_token(store_, {.user = "ci"});
  ASSERT_OK(users_.remove("ci"));
  add_user(store_, {.name = "ci"});
  EXPECT_FALSE(by_token(token.text));
}

TEST_F(AccessTest, GrantsAreBounded) {
  const std::vector<Grant> many(kMaxGrants + 1, grant("read:*"));
  EXPECT_FAULT(users_.add({.name = "ci", .grants = many}), Fault::kInvalid);
  add_user(store_, {.name = "ci", .grants = {many.begin(), many.end() - 1}});
  EXPECT_FAULT(tokens_.add({.user = "ci", .grants = many}), Fault::kInvalid);
  const auto change = users_.change("ci", "change user", [&](UserRecord& record) {
    record.grants = many;
    return Result<void>();
  });
  EXPECT_FAULT(change, Fault::kInvalid);
}

TEST_F(AccessTest, OneUserForAUnixUser) {
  add_user(store_, {.name = "a", .uid = 1000});
  add_user(store_, {.name = "b"});
  EXPECT_EQ(access_.by_uid(1000).value()->user, "a");
  EXPECT_FALSE(access_.by_uid(1001).value());
  EXPECT_FAULT(users_.add({.name = "c", .uid = 1000}), Fault::kExists);
  EXPECT_FALSE(users_.find("c").value()) << "nothing of it was made";
  const auto become = [&](const string& name, std::optional<uint32_t> uid) {
    return users_.change(name, "change user", [&](UserRecord& record) {
      record.uid = uid;
      return Result<void>();
    });
  };
  EXPECT_FAULT(become("b", 1000), Fault::kExists);
  ASSERT_OK(become("a", std::nullopt));
  EXPECT_FALSE(access_.by_uid(1000).value());
  ASSERT_OK(become("b", 1000));
  EXPECT_EQ(access_.by_uid(1000).value()->user, "b");
  ASSERT_OK(become("b", 0));
  EXPECT_EQ(access_.by_uid(0).value()->user, "b");
  EXPECT_FALSE(access_.by_uid(1000).value());
}

TEST_F(AccessTest, NothingIsOverwritten) {
  const UserRecord first = add_user(store_, {.name = "a", .grants = {grant("read:*")}});
  EXPECT_FAULT(users_.add({.name = "a", .grants = {grant("admin:*")}}), Fault::kExists);
  EXPECT_EQ(users_.get("a").value().record.id, first.id);
  EXPECT_EQ(users_.get("a").value().record.grants, first.grants);
  EXPECT_FAULT(users_.add({.name = "a b"}), Fault::kInvalid);
  EXPECT_FAULT(users_.get("b"), Fault::kNotFound);
  EXPECT_FAULT(users_.remove("b"), Fault::kNotFound);
  EXPECT_EQ(users_.list().value().size(), 1u);
}

TEST_F(AccessTest, OneOfManyMakesAUser) {
  std::vector<std::thread> threads;
  threads.reserve(8);
  std::atomic<int> made_count = 0;
  std::atomic<int> refused_count = 0;
  for (int i = 0; i < 8; i++) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; round++) {
        auto made = users_.add({.name = "u" + std::to_string(round), .uid = uint32_t(i)});
        if (made.ok()) made_count++;
        if (!made.ok() && made.error().fault == Fault::kExists) refused_count++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made_count + refused_count, 160) << "no other outcome";
  EXPECT_EQ(users_.list().value().size(), size_t(made_count));
  // At most eight: each of the eight Unix users can be one user.
  EXPECT_LE(made_count, 8);
  EXPECT_GE(made_count, 1);
}

TEST_F(AccessTest, ARemovedUserTakesItsTokensAlong) {
  add_user(store_, {.name = "a", .uid = 5});
  add_user(store_, {.name = "b"});
  std::vector<IssuedToken> tokens;
  tokens.reserve(70);
  for (int i = 0; i < 70; i++) tokens.push_back(add_token(store_, {.user = "a"}));
  const IssuedToken others = add_token(store_, {.user = "b"});
  EXPECT_TRUE(by_token(tokens[69].text));
  ASSERT_OK(users_.remove("a"));
  for (const IssuedToken& token : tokens) EXPECT_FALSE(by_token(token.text));
  EXPECT_TRUE(by_token(others.text));
  EXPECT_FALSE(access_.by_uid(5).value());
  EXPECT_EQ(tokens_.list(std::nullopt).value().size(), 1u);
  // What is left: settings, b with its name, its token with index and last use, events.
  size_t count = 0;
  ASSERT_OK(store_->kv().dump([&](const KvRecord& record) {
    if (uint8_t(record.key[0]) != uint8_t(access_key::Kind::kEvent)) count++;
    return Result<void>();
  }));
  EXPECT_EQ(count, 6u);
}

TEST_F(AccessTest, FailuresLockANameOutForAWhile) {
  add_with_password("alice", "the right one");
  for (const string name : {"alice", "nobody"}) {
    for (uint32_t i = 0; i < kMaxFailures; i++) EXPECT_FALSE(by_password(name, "a wrong one"));
    const auto locked = access_.by_password(name, "the right one");
    ASSERT_FAULT(locked, Fault::kLimit);
    EXPECT_NE(locked.error().context.find("try again in 5 minutes"), string::npos)
        << locked.error().context;
    EXPECT_EQ(locked.error().max, kMaxFailures);
  }
  pass(kLockOutMs - kMinuteMs);
  auto still = access_.by_password("alice", "the right one");
  ASSERT_FAULT(still, Fault::kLimit);
  EXPECT_NE(still.error().context.find("in 1 minute"), string::npos);
  EXPECT_GT(locked_out_for_ms(*store_, "alice").value(), 0u);
  pass(kMinuteMs);
  EXPECT_EQ(locked_out_for_ms(*store_, "alice").value(), 0u);
  EXPECT_TRUE(by_password("alice", "the right one"));
}

TEST_F(AccessTest, AClockThatWasAheadLocksNobodyOutForLonger) {
  add_with_password("alice", "the right one");
  for (uint32_t i = 0; i < kMaxFailures; i++) EXPECT_FALSE(by_password("alice", "a wrong one"));
  world_.now_ms -= 3 * 60 * kMinuteMs;
  EXPECT_EQ(locked_out_for_ms(*store_, "alice").value(), kLockOutMs);
  EXPECT_FAULT(access_.by_password("alice", "the right one"), Fault::kLimit);
  pass(kLockOutMs - 1);
  EXPECT_FAULT(access_.by_password("alice", "the right one"), Fault::kLimit);
  pass(1);
  EXPECT_TRUE(by_password("alice", "the right one"));
}

TEST_F(AccessTest, ARightPasswordClearsTheFailures) {
  add_with_password("alice", "the right one");
  for (int round = 0; round < 3; round++) {
    for (uint32_t i = 0; i + 1 < kMaxFailures; i++) EXPECT_FALSE(by_password("alice", "wrong one"));
    EXPECT_TRUE(by_password("alice", "the right one"));
  }
}

TEST_F(AccessTest, AttemptsAtTheSameTimeAllCount) {
  add_with_password("alice", "the right one");
  std::atomic<uint32_t> judged_count = 0;
  std::vector<std::thread> threads;
  threads.reserve(16);
  for (int i = 0; i < 16; i++) {
    threads.emplace_back([&] {
      const auto who = access_.by_password("alice", "a wrong one");
      if (who.ok()) judged_count++;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(judged_count, kMaxFailures);
}

TEST_F(AccessTest, WhoHasNoPasswordHasNone) {
  add_user(store_, {.name = "alice"});
  EXPECT_FALSE(by_password("alice", ""));
  EXPECT_FALSE(by_password("alice", "anything at all"));
  EXPECT_FALSE(by_password("", ""));
  EXPECT_FALSE(by_password("no such:name", "anything at all"));
}

TEST_F(AccessTest, APasswordOfAnotherCostIsHashedAnew) {
  auto dear = hash_password("password", {2, 16384});
  ASSERT_OK(dear);
  add_user(store_, {.name = "alice", .password_hash = dear.value()});
  EXPECT_FALSE(by_password("alice", "passwore"));
  EXPECT_EQ(users_.get("alice").value().record.password_hash, dear.value());
  EXPECT_TRUE(by_password("alice", "password"));
  const string after = users_.get("alice").value().record.password_hash;
  EXPECT_NE(after, dear.value());
  EXPECT_FALSE(password_needs_rehash(after, kCheapPassword));
  EXPECT_TRUE(by_password("alice", "password"));
  EXPECT_EQ(users_.get("alice").value().record.password_hash, after) << "once";
}

TEST_F(AccessTest, ThePskFileHasThoseWhoHaveAKey) {
  add_user(store_, {.name = "zoe", .psk = string(kPskBytes, '\x01')});
  add_user(store_, {.name = "bob"});
  add_user(store_, {.name = "al", .psk = string(kPskBytes, '\xff')});
  string expected = "al:";
  for (size_t i = 0; i < kPskBytes; i++) expected += "ff";
  expected += "\nzoe:";
  for (size_t i = 0; i < kPskBytes; i++) expected += "01";
  EXPECT_EQ(access_.psk_file_text().value(), expected + "\n");
}

TEST_F(AccessTest, UsesAreNotedOnceAMinute) {
  const UserRecord user = add_user(store_, {.name = "a", .uid = 5});
  const IssuedToken token = add_token(store_, {.user = "a"});
  EXPECT_EQ(users_.last_use(user.id).value(), 0u);
  ASSERT_OK(access_.by_uid(5));
  EXPECT_TRUE(by_token(token.text));
  const uint64_t first_ms = world_.now_ms;
  EXPECT_EQ(users_.last_use(user.id).value(), first_ms);
  EXPECT_EQ(users_.last_use(token.record.id).value(), first_ms);
  pass(kMinuteMs - 1);
  ASSERT_OK(access_.by_uid(5));
  EXPECT_EQ(users_.last_use(user.id).value(), first_ms);
  pass(1);
  ASSERT_OK(access_.by_uid(5));
  EXPECT_TRUE(by_token(token.text));
  EXPECT_EQ(users_.last_use(user.id).value(), world_.now_ms);
  EXPECT_EQ(users_.last_use(token.record.id).value(), world_.now_ms);
}

TEST_F(AccessTest, EveryChangeIsInTheTrail) {
  add_user(store_, {.name = "a"});
  pass(1);
  const IssuedToken token = add_token(store_, {.user = "a"});
  pass(1);
  ASSERT_OK(tokens_.revoke(token.record.id));
  pass(1);
  EXPECT_FAULT(users_.add({.name = "a"}), Fault::kExists);
  ASSERT_OK(users_.remove("a"));
  std::vector<string> what;
  for (const AuditEntry& entry : events()) {
    EXPECT_EQ(entry.who, "test");
    EXPECT_EQ(entry.on.find(token.text.substr(37)), string::npos);
    what.push_back(entry.what);
  }
  // The last two happened in one millisecond.
  ASSERT_EQ(what.size(), 5u);
  EXPECT_EQ((std::vector<string>{what.begin(), what.begin() + 3}),
            (std::vector<string>{"add user", "add token", "revoke token"}));
}

TEST_F(AccessTest, FloodsOfEventsAreCounted) {
  const AuditEvent event{"nobody", "open", "web", "refused"};
  for (uint64_t i = 0; i < kMaxEventsAtOnce + 30; i++) ASSERT_OK(access_.audit(event));
  EXPECT_EQ(events().size(), kMaxEventsAtOnce);
  pass(kEventEveryMs - 1);
  ASSERT_OK(access_.audit(event));
  EXPECT_EQ(events().size(), kMaxEventsAtOnce);
  pass(1);
  ASSERT_OK(access_.audit(event));
  const auto all = events();
  ASSERT_EQ(all.size(), kMaxEventsAtOnce + 1);
  EXPECT_EQ(all.back().left_out_count, 31u);
  EXPECT_EQ(all.back().time_ms, world_.now_ms);
  // And in the end they go.
  pass(kUsualAuditTtlMs);
  ASSERT_OK(access_.audit(event));
  EXPECT_EQ(events().size(), 1u);
}

TEST_F(AccessTest, AFloodHidesNothingOfAnotherKind) {
  for (uint64_t i = 0; i < kMaxEventsAtOnce + 30; i++) {
    ASSERT_OK(access_.audit({"uid " + std::to_string(i), "open", "web", "refused"}));
    ASSERT_OK(access_.audit({"user mallory", "flush", "web", "allowed"}));
  }
  const size_t before = events().size();
  EXPECT_EQ(before, 2 * kMaxEventsAtOnce);
  ASSERT_OK(access_.audit({"user mallory", "rollback", "web", "allowed"}));
  ASSERT_OK(access_.audit({"user alice", "flush", "web", "allowed"}));
  EXPECT_EQ(events().size(), before + 2);
}

// Which is how long it remembers the kinds.
TEST_F(AccessTest, KindsOfEventsAreBounded) {
  const auto audit = [&](uint64_t i) {
    ASSERT_OK(access_.audit({"user u" + std::to_string(i), "flush", "web", "allowed"}));
  };
  const uint64_t all = kMaxEventKinds + 2 * kMaxEventsAtOnce;
  for (uint64_t i = 0; i < all; i++) audit(i);
  EXPECT_EQ(events().size(), kMaxEventKinds + kMaxEventsAtOnce) << "the others share a credit";
  pass(kEventEveryMs);
  audit(all);
  EXPECT_EQ(events().size(), kMaxEventKinds + kMaxEventsAtOnce + 1) << "what is over is forgotten";
}

TEST_F(AccessTest, ARecordUnderAnotherKeyIsDamage) {
  const UserRecord admin = add_user(store_, {.name = "root", .grants = {grant("admin:*")}});
  const UserRecord mallory = add_user(store_, {.name = "mallory", .uid = 666});
  auto& kv = store_->kv();
  const auto value = kv.get(access_key::user(admin.id));
  ASSERT_OK(value);
  const string moved = value.value()->bytes;
  ASSERT_OK(kv.put(access_key::user(mallory.id), moved));
  EXPECT_FAULT(access_.by_uid(666), Fault::kDamaged);
  EXPECT_FAULT(users_.get("mallory"), Fault::kDamaged);
}

TEST_F(AccessTest, WhatCannotBeReadCanBeRemoved) {
  const UserRecord user = add_user(store_, {.name = "ci", .uid = 7});
  const IssuedToken token = add_token(store_, {.user = "ci"});
  add_token(store_, {.user = "ci"});
  auto& kv = store_->kv();
  ASSERT_OK(kv.put(access_key::token(token.record.id), "no envelope"));
  EXPECT_FAULT(tokens_.list(std::nullopt), Fault::kDamaged);
  ASSERT_OK(tokens_.remove(token.record.id));
  EXPECT_EQ(tokens_.list(std::nullopt).value().size(), 1u);
  EXPECT_EQ(kv.list(access_key::all(access_key::Kind::kTokenOf)).value().records.size(), 1u);
  EXPECT_FAULT(tokens_.remove(token.record.id), Fault::kNotFound);
  ASSERT_OK(kv.put(access_key::user(user.id), "no envelope"));
  EXPECT_FAULT(users_.list(), Fault::kDamaged);
  ASSERT_OK(users_.remove("ci"));
  EXPECT_TRUE(users_.list().value().empty());
  EXPECT_TRUE(tokens_.list(std::nullopt).value().empty());
  EXPECT_TRUE(kv.list(access_key::all(access_key::Kind::kUserUid)).value().records.empty());
  add_user(store_, {.name = "ci", .uid = 7});
}

TEST_F(AccessTest, AnIndexThatLeadsElsewhereIsDamage) {
  const UserRecord admin = add_user(store_, {.name = "root", .grants = {grant("admin:*")}});
  add_user(store_, {.name = "mallory", .uid = 666});
  auto& kv = store_->kv();
  ASSERT_OK(kv.put(access_key::user_uid(666), admin.id.text()));
  EXPECT_FAULT(access_.by_uid(666), Fault::kDamaged);
  ASSERT_OK(kv.put(access_key::user_name("mallory"), admin.id.text()));
  EXPECT_FAULT(users_.get("mallory"), Fault::kDamaged);
  EXPECT_FAULT(users_.remove("mallory"), Fault::kDamaged) << "it is another user that would go";
  EXPECT_TRUE(users_.find("root").value());
  ASSERT_OK(kv.put(access_key::user_name("mallory"), "short"));
  EXPECT_FAULT(users_.get("mallory"), Fault::kDamaged);
}

}  // namespace
}  // namespace casdisk
