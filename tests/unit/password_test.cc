#include "nbd/auth/password.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

using std::string;

constexpr PasswordCost kCheap{1, 8192};

TEST(Password, OnlyTheSameMatches) {
  auto hash = hash_password("correct horse", kCheap);
  ASSERT_OK(hash);
  EXPECT_TRUE(hash.value().starts_with("$argon2id$")) << hash.value();
  EXPECT_TRUE(password_matches(hash.value(), "correct horse"));
  EXPECT_FALSE(password_matches(hash.value(), "correct horsf"));
  EXPECT_FALSE(password_matches(hash.value(), "correct hors"));
  EXPECT_FALSE(password_matches(hash.value(), ""));
  EXPECT_FALSE(password_matches("", "correct horse"));
  EXPECT_FALSE(password_matches("nonsense", "correct horse"));
  EXPECT_NE(hash_password("correct horse", kCheap).value(), hash.value()) << "salted";
}

TEST(Password, HasALengthAndNoNul) {
  EXPECT_FAULT(hash_password(string(kMinPasswordBytes - 1, 'a'), kCheap), Fault::kInvalid);
  EXPECT_OK(hash_password(string(kMinPasswordBytes, 'a'), kCheap));
  EXPECT_OK(hash_password(string(kMaxPasswordBytes, 'a'), kCheap));
  EXPECT_FAULT(hash_password(string(kMaxPasswordBytes + 1, 'a'), kCheap), Fault::kInvalid);
  EXPECT_FAULT(hash_password(string("12345678\0", 9), kCheap), Fault::kInvalid);
  auto refused = hash_password("secret1", kCheap);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().context.find("secret1"), string::npos);
}

TEST(Password, TheCostIsInTheHash) {
  auto hash = hash_password("password", kCheap);
  ASSERT_OK(hash);
  EXPECT_FALSE(password_needs_rehash(hash.value(), kCheap));
  EXPECT_TRUE(password_needs_rehash(hash.value(), {2, 8192}));
  EXPECT_TRUE(password_needs_rehash(hash.value(), {1, 16384}));
  // What nothing matches is a hash of that cost, so that it is computed to the end.
  for (const PasswordCost cost : {kCheap, kUsualPasswordCost}) {
    EXPECT_FALSE(password_needs_rehash(hash_that_nothing_matches(cost), cost));
  }
  EXPECT_FALSE(password_matches(hash_that_nothing_matches(kCheap), "password"));
}

}  // namespace
}  // namespace casdisk
