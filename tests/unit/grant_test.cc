#include "nbd/auth/grant.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

using std::string;

bool matches(const string& pattern, const string& disk) {
  const Grant grant{uint8_t(Scope::kRead), pattern};
  return any_allows({&grant, 1}, Scope::kRead, disk);
}

TEST(Grant, IsReadAsItIsWritten) {
  for (const char* text : {"read:web", "read,write:build-*", "checkpoint:a?c", "admin:*",
                           "read,write,checkpoint,admin:a:b+c_d.e"}) {
    auto grant = parse_grant(text);
    ASSERT_OK(grant);
    EXPECT_EQ(grant_text(grant.value()), text);
  }
  auto reordered = parse_grant("write,read:x");
  ASSERT_OK(reordered);
  EXPECT_EQ(grant_text(reordered.value()), "read,write:x");
}

TEST(Grant, WhatIsNoneIsRefused) {
  for (const string text : {"", "read", "read:", ":web", "reads:web", "read,:web", ",read:web",
                            "read:a/b", "read:a@b", "read:a b", "READ:web"}) {
    EXPECT_FAULT(parse_grant(text), Fault::kInvalid) << text;
  }
  EXPECT_OK(parse_grant("read:" + string(kMaxPatternBytes, 'a')));
  EXPECT_FAULT(parse_grant("read:" + string(kMaxPatternBytes + 1, 'a')), Fault::kInvalid);
}

TEST(Grant, PatternsMatchWholeNames) {
  EXPECT_TRUE(matches("web", "web"));
  EXPECT_FALSE(matches("web", "web2"));
  EXPECT_FALSE(matches("web", "we"));
  EXPECT_FALSE(matches("web", ""));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*", "anything"));
  EXPECT_TRUE(matches("b*d", "bd"));
  EXPECT_TRUE(matches("b*d", "build-d"));
  EXPECT_FALSE(matches("b*d",
                       "build"
                       "s"));
  EXPECT_TRUE(matches("w?b", "web"));
  EXPECT_FALSE(matches("w?b", "wb"));
  EXPECT_TRUE(matches("*-?", "build-7"));
  EXPECT_FALSE(matches("*-?", "build-77"));
  EXPECT_TRUE(matches("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(matches("a*b*c", "aXbYbZ"));
  EXPECT_TRUE(matches("**a**", "bab"));
  // In steps that grow with the product of the two lengths, not with a power.
  EXPECT_FALSE(matches(string(63, '*') + "a" + string(63, '*') + "b", string(4096, 'a')));
}

TEST(Grant, ScopesIncludeOthers) {
  const auto allowed = [](const string& text) {
    const std::vector<Grant> grants = {parse_grant(text).value()};
    string scopes;
    if (any_allows(grants, Scope::kRead, "a")) scopes += 'r';
    if (any_allows(grants, Scope::kWrite, "a")) scopes += 'w';
    if (any_allows(grants, Scope::kCheckpoint, "a")) scopes += 'c';
    if (any_allows(grants, Scope::kAdmin, "a")) scopes += 'a';
    return scopes;
  };
  EXPECT_EQ(allowed("read:a"), "r");
  EXPECT_EQ(allowed("write:a"), "rw");
  EXPECT_EQ(allowed("checkpoint:a"), "c");
  EXPECT_EQ(allowed("admin:a"), "rwca");
  EXPECT_EQ(allowed("admin:b"), "");
}

TEST(Grant, ATokenOnlyNarrows) {
  Principal principal{
      .user = "alice", .grants = {parse_grant("read,write:web*").value()}, .token_grants = {}};
  EXPECT_TRUE(allows(principal, Scope::kWrite, "web1"));
  EXPECT_FALSE(allows(principal, Scope::kAdmin, "web1"));
  EXPECT_EQ(principal_text(principal), "user alice");
  principal.token_id = "00ff";
  EXPECT_EQ(principal_text(principal), "token 00ff of alice");
  EXPECT_FALSE(allows(principal, Scope::kRead, "web1")) << "a token without grants";
  principal.token_grants = {parse_grant("read:*1").value()};
  EXPECT_TRUE(allows(principal, Scope::kRead, "web1"));
  EXPECT_FALSE(allows(principal, Scope::kWrite, "web1")) << "the user's alone";
  EXPECT_FALSE(allows(principal, Scope::kRead, "web2")) << "the user's alone";
  EXPECT_FALSE(allows(principal, Scope::kRead, "db1")) << "the token's alone";
  EXPECT_FALSE(allows({}, Scope::kRead, "web1")) << "nothing is granted";
}

}  // namespace
}  // namespace casdisk
