#include "nbd/auth/key_rotation.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "cas/os/file_lock.h"
#include "nbd/auth/access_keys.h"
#include "tests/support/result_assertions.h"
#include "tests/unit/access_world.h"

namespace casdisk {
namespace {

using std::string;

class KeyRotationTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = open();
    add_user(store_, {.name = "a", .uid = 5, .psk = string(kPskBytes, 'p')});
    add_user(store_, {.name = "b"});
    token_ = add_token(store_, {.user = "a", .lifetime_ms = 3'600'000}).text;
  }
  std::shared_ptr<AccessStore> open() {
    auto store = world_.in_directory();
    CHECK(store.ok());
    return store.value();
  }
  MasterKeys keys() {
    auto loaded = MasterKeys::load(path());
    CHECK(loaded.ok());
    return loaded.value();
  }
  string path() const { return world_.settings.actual_key_path(); }
  Result<KeyRotation> rotate(RotateHow how = RotateHow::kWhole,
                             std::optional<Cipher> cipher = std::nullopt) {
    return rotate_master_key(*open(), how, cipher, "test");
  }
  // That everything can be read, by somebody who opened the store before and by one who does now.
  void expect_all_there(const std::shared_ptr<AccessStore>& before) {
    for (const auto& store : {before, open()}) {
      Access access(store);
      auto person = access.by_uid(5);
      ASSERT_OK(person);
      ASSERT_TRUE(person.value());
      EXPECT_EQ(person.value()->user, "a");
      auto bearer = access.by_token(token_);
      ASSERT_OK(bearer);
      EXPECT_TRUE(bearer.value());
      EXPECT_EQ(Users(store, "").get("a").value().record.psk, string(kPskBytes, 'p'));
      EXPECT_EQ(Users(store, "").list().value().size(), 2u);
    }
  }
  // With which master key each record is encrypted.
  std::vector<MasterKeyId> used_keys() {
    std::vector<MasterKeyId> used;
    for (const auto kind :
         {access_key::Kind::kSettings, access_key::Kind::kUser, access_key::Kind::kToken}) {
      EXPECT_OK(store_->kv().visit(access_key::all(kind), [&](const KvRecord& record) {
        used.push_back(parse_envelope(record.value.bytes).value().master_key);
        return Result<void>();
      }));
    }
    return used;
  }

  AccessWorld world_;
  std::shared_ptr<AccessStore> store_;
  string token_;
};

TEST_F(KeyRotationTest, EveryRecordGetsTheNewKeyAndTheOldGoes) {
  const MasterKeyId old_key = keys().newest().id;
  auto rotation = rotate();
  ASSERT_OK(rotation);
  EXPECT_FALSE(rotation.value().is_resumed);
  EXPECT_EQ(rotation.value().record_count, 3u);
  EXPECT_NE(rotation.value().key, old_key);
  EXPECT_EQ(keys().count(), 1u);
  EXPECT_EQ(keys().newest().id, rotation.value().key);
  EXPECT_EQ(used_keys(), std::vector<MasterKeyId>(4, rotation.value().key));
  expect_all_there(store_);
  // Whoever knew the old key alone writes with the new one.
  add_user(store_, {.name = "c"});
  EXPECT_EQ(used_keys(), std::vector<MasterKeyId>(5, rotation.value().key));
}

TEST_F(KeyRotationTest, ATokenKeepsItsTimeToLive) {
  ASSERT_OK(rotate());
  world_.now_ms += 3'600'000 + kExpiredTokenKeptMs - 1;
  EXPECT_EQ(Tokens(store_, "").list(std::nullopt).value().size(), 1u);
  world_.now_ms += 1;
  EXPECT_EQ(Tokens(store_, "").list(std::nullopt).value().size(), 0u);
}

TEST_F(KeyRotationTest, BegunElsewhereItIsFinished) {
  const MasterKeyId old_key = keys().newest().id;
  auto begun = rotate(RotateHow::kBegin);
  ASSERT_OK(begun);
  EXPECT_EQ(keys().count(), 2u);
  EXPECT_EQ(used_keys(), std::vector<MasterKeyId>(4, old_key));
  add_user(open(), {.name = "c"});
  EXPECT_EQ(used_keys(), std::vector<MasterKeyId>(5, old_key)) << "nobody else need have it yet";
  auto again = rotate(RotateHow::kBegin);
  ASSERT_OK(again);
  EXPECT_EQ(again.value().key, begun.value().key);
  auto finished = rotate();
  ASSERT_OK(finished);
  EXPECT_TRUE(finished.value().is_resumed);
  EXPECT_EQ(finished.value().key, begun.value().key);
  EXPECT_EQ(used_keys(), std::vector<MasterKeyId>(5, begun.value().key));
  EXPECT_EQ(keys().count(), 1u);
}

// Its steps by hand, up to each place where it can be cut off.
TEST_F(KeyRotationTest, CutOffAnywhereItGoesOn) {
  for (int steps = 1; steps <= 3; steps++) {
    const auto before = open();
    auto more = keys().with_new_key();
    ASSERT_OK(more);
    ASSERT_OK(more.value().save(path()));
    const MasterKey newest = more.value().newest();
    const auto store = open();
    if (steps >= 2) {
      const auto encryption = store->encryption().value();
      ASSERT_OK(store->kv().put(
          access_key::settings(),
          store->encrypted_settings(*encryption, newest, Cipher::kXChaCha20Poly1305)));
    }
    if (steps >= 3) {  // one record of three
      ASSERT_OK(Users(store, "test").change("b", "change user", [](UserRecord&) {
        return Result<void>();
      }));
    }
    expect_all_there(before);
    auto finished = rotate();
    ASSERT_OK(finished);
    EXPECT_TRUE(finished.value().is_resumed);
    EXPECT_EQ(finished.value().record_count, steps >= 3 ? 2u : 3u);
    EXPECT_EQ(used_keys(), std::vector<MasterKeyId>(4, newest.id));
    EXPECT_EQ(keys().count(), 1u);
    expect_all_there(before);
  }
}

TEST_F(KeyRotationTest, UnderWritersNothingIsLost) {
  std::atomic<bool> is_over = false;
  std::atomic<int> written_count = 0;
  std::thread writer([&] {
    const auto store = open();
    Users users(store, "test");
    for (int i = 0; !is_over && i < 200; i++) {
      EXPECT_OK(users.add({.name = "w" + std::to_string(i)}));
      written_count++;
    }
  });
  std::thread reader([&] {
    const auto store = open();
    while (!is_over) {
      auto bearer = Access(store).by_token(token_);
      EXPECT_OK(bearer);
      EXPECT_TRUE(bearer.ok() && bearer.value());
    }
  });
  for (int i = 0; i < 5; i++) EXPECT_OK(rotate());
  is_over = true;
  writer.join();
  reader.join();
  const auto users = Users(open(), "").list();
  ASSERT_OK(users);
  EXPECT_EQ(users.value().size(), size_t(written_count) + 2);
  EXPECT_EQ(used_keys(), std::vector<MasterKeyId>(size_t(written_count) + 4, keys().newest().id));
}

TEST_F(KeyRotationTest, OneAtATime) {
  auto other = FileLock::acquire(path() + ".lock", "a test");
  ASSERT_OK(other);
  EXPECT_FAULT(rotate(), Fault::kBusy);
  EXPECT_EQ(keys().count(), 1u);
}

TEST_F(KeyRotationTest, WhatAnInterruptedOneLeftHasNoOldKeyForLong) {
  const std::string unfinished = path() + ".new-0123456789abcdef";
  std::filesystem::copy_file(path(), unfinished);
  {
    const auto other = FileLock::acquire(path() + ".lock", "a test");
    ASSERT_OK(other);
    EXPECT_FAULT(rotate(), Fault::kBusy);
    EXPECT_TRUE(std::filesystem::exists(unfinished)) << "it may be the other's";
  }
  ASSERT_OK(rotate());
  EXPECT_FALSE(std::filesystem::exists(unfinished));
}

TEST_F(KeyRotationTest, TheCipherCanBeChosen) {
  if (!is_available(Cipher::kAes256Gcm)) {
    EXPECT_FAULT(rotate(RotateHow::kWhole, Cipher::kAes256Gcm), Fault::kUnsupported);
    GTEST_SKIP() << "this processor has no AES-GCM";
  }
  const auto ciphers = [&] {
    std::vector<Cipher> used;
    EXPECT_OK(
        store_->kv().visit(access_key::all(access_key::Kind::kUser), [&](const KvRecord& record) {
          used.push_back(parse_envelope(record.value.bytes).value().cipher);
          return Result<void>();
        }));
    return used;
  };
  ASSERT_OK(rotate(RotateHow::kWhole, Cipher::kAes256Gcm));
  EXPECT_EQ(ciphers(), std::vector<Cipher>(2, Cipher::kAes256Gcm));
  expect_all_there(store_);
  add_user(open(), {.name = "c"});
  EXPECT_EQ(ciphers(), std::vector<Cipher>(3, Cipher::kAes256Gcm));
  ASSERT_OK(Users(open(), "").remove("c"));
  ASSERT_OK(rotate());
  EXPECT_EQ(ciphers(), std::vector<Cipher>(2, Cipher::kAes256Gcm)) << "it stays";
  ASSERT_OK(rotate(RotateHow::kWhole, Cipher::kXChaCha20Poly1305));
  EXPECT_EQ(ciphers(), std::vector<Cipher>(2, Cipher::kXChaCha20Poly1305));
}

}  // namespace
}  // namespace casdisk
