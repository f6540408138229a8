#include "nbd/auth/access_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/result_assertions.h"
#include "tests/unit/access_world.h"

namespace casdisk {
namespace {

using std::string;

class AccessStoreTest : public testing::Test {
 protected:
  AccessWorld world_;
};

TEST_F(AccessStoreTest, ItIsGuardedFromTheFirstUserOn) {
  auto before = Access::open(world_.settings);
  ASSERT_OK(before);
  EXPECT_EQ(before.value(), nullptr);
  EXPECT_FALSE(Access::check(world_.settings).value());
  EXPECT_FALSE(std::filesystem::exists(world_.directory / "access")) << "looking makes nothing";
  {
    auto store = world_.in_directory();
    ASSERT_OK(store);
    add_user(store.value(), {.name = "a", .uid = 5});
  }
  EXPECT_TRUE(Access::check(world_.settings).value());
  auto access = Access::open(world_.settings);
  ASSERT_OK(access);
  ASSERT_NE(access.value(), nullptr);
  EXPECT_EQ(access.value()->by_uid(5).value()->user, "a");
  // It stays so without users, and without what was in it.
  access.value().reset();
  std::filesystem::remove(world_.directory / "access/data.mdb");
  EXPECT_FALSE(Access::check(world_.settings).ok());
}

TEST_F(AccessStoreTest, AKeyWithoutRecordsSaysThatTheUsersAreElsewhere) {
  {
    AccessSettings elsewhere = world_.settings;
    elsewhere.url = "lmdb:" + (world_.directory / "elsewhere");
    auto store = AccessStore::open(elsewhere, AccessStore::MayCreate::kYes);
    ASSERT_OK(store);
    add_user(store.value(), {.name = "a"});
  }
  auto refused = Access::check(world_.settings);
  ASSERT_FAULT(refused, Fault::kInvalid);
  EXPECT_NE(refused.error().context.find("CASDISK_ACCESS"), string::npos);
  EXPECT_FAULT(world_.in_directory(), Fault::kInvalid) << "nor are there users here, too";
}

TEST_F(AccessStoreTest, WhatCannotBeSeenIsNotTakenForNoUsers) {
  const string access = world_.directory / "access";
  std::filesystem::create_symlink("nowhere", access);
  EXPECT_FALSE(Access::check(world_.settings).ok());
  std::filesystem::remove(access);
  std::filesystem::create_symlink("access", access);
  EXPECT_FALSE(Access::check(world_.settings).ok());
  std::filesystem::remove(access);
  std::ofstream(access) << "a file";
  EXPECT_FALSE(Access::check(world_.settings).ok());
  world_.settings.store_path = access;  // a file in the store's place
  EXPECT_FALSE(Access::check(world_.settings).ok());
}

TEST_F(AccessStoreTest, AConfiguredOneIsGuardedAndMustOpen) {
  world_.settings.url = "lmdb:" + (world_.directory / "elsewhere");
  auto missing = Access::open(world_.settings);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().context.find(world_.settings.url), string::npos);
  for (const char* url : {"memory:", "nonsense:", "nonsense"}) {
    world_.settings.url = url;
    auto refused = Access::open(world_.settings);
    ASSERT_FALSE(refused.ok()) << url;
    EXPECT_NE(refused.error().context.find(url), string::npos) << refused.error().context;
  }
}

TEST_F(AccessStoreTest, WithoutItsMasterKeyItSaysWhichIsMissing) {
  {
    auto store = world_.in_directory();
    ASSERT_OK(store);
    add_user(store.value(), {.name = "a"});
  }
  const string path = world_.directory / "access.key";
  std::filesystem::rename(path, path + ".away");
  auto missing = Access::open(world_.settings);
  ASSERT_FAULT(missing, Fault::kNotFound);
  EXPECT_NE(missing.error().context.find(path), string::npos) << missing.error().context;
  EXPECT_FAULT(world_.in_directory(), Fault::kNotFound) << "no other key is made for it";
  ASSERT_OK(MasterKeys::make().save_new(path));
  EXPECT_FAULT(Access::open(world_.settings), Fault::kNotFound) << "another key";
  std::filesystem::remove(path);
  std::filesystem::rename(path + ".away", path);
  std::filesystem::permissions(path, std::filesystem::perms(0640));
  EXPECT_FAULT(Access::open(world_.settings), Fault::kInvalid);
  std::filesystem::permissions(path, std::filesystem::perms(0600));
  EXPECT_OK(Access::open(world_.settings));
}

TEST_F(AccessStoreTest, WhatOneMakesTheOthersSee) {
  auto first = world_.in_directory();
  ASSERT_OK(first);
  auto second = world_.in_directory();
  ASSERT_OK(second);
  add_user(first.value(), {.name = "a"});
  const IssuedToken token = add_token(second.value(), {.user = "a"});
  EXPECT_TRUE(Access(first.value()).by_token(token.text).value());
  ASSERT_OK(Tokens(first.value(), "").revoke(token.record.id));
  EXPECT_FALSE(Access(second.value()).by_token(token.text).value());
}

}  // namespace
}  // namespace casdisk
