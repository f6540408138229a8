#include "cas/kv/kv_open.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

TEST(KvOpen, AnUnknownKindNamesTheKnownOnes) {
  for (const char* url : {"", "memory", "nosuch:x", "MEMORY:", ":"}) {
    auto opened = open_kv(url, {}, embedded_kv_schemes());
    ASSERT_FAULT(opened, Fault::kInvalid);
    EXPECT_NE(opened.error().context.find("memory:"), std::string::npos);
    EXPECT_NE(opened.error().context.find(url), std::string::npos);
  }
}

TEST(KvOpen, ATableFromAboveAddsItsOwn) {
  const KvScheme mine[] = {
      {"mine", "mine://HOST", "start the server",
       [](const KvUrl& url, const KvOpenOptions&) -> Result<std::unique_ptr<KvStore>> {
         EXPECT_EQ(url.rest, "//me:secret@host/");
         return Error{Fault::kUnavailable, 0, "no answer"};
       }}};
  auto opened = open_kv("mine://me:secret@host/", {}, mine);
  ASSERT_FAULT(opened, Fault::kUnavailable);
  EXPECT_EQ(
      opened.error().context,
      "key-value store mine://me:***@host/: it cannot be opened (start the server): no answer");
}

TEST(KvOpen, PasswordsAreNotShown) {
  EXPECT_EQ(shown_kv_url("redis://:pw@h:1/0"), "redis://:***@h:1/0");
  EXPECT_EQ(shown_kv_url("redis://u:p@w@h"), "redis://u:***@h");
  EXPECT_EQ(shown_kv_url("redis://h:1/0?password_file=/a@b"), "redis://h:1/0?password_file=/a@b");
  EXPECT_EQ(shown_kv_url("lmdb:/a:b@c"), "lmdb:/a:b@c");
  EXPECT_EQ(shown_kv_url("redis+unix://u:p@/run/a.sock"), "redis+unix://u:***@/run/a.sock");
  EXPECT_EQ(shown_kv_url("redis+unix:///run/a@b.sock"), "redis+unix:///run/a@b.sock");
  EXPECT_EQ(shown_kv_url("etcd://h:1,g:2/x"), "etcd://h:1,g:2/x");
  EXPECT_EQ(shown_kv_url("hyperv:guest@/a:b@c"), "hyperv:guest@/a:b@c");
}

TEST(KvOpen, NorAreThoseOfUrlsThatAreWrong) {
  EXPECT_EQ(shown_kv_url("redis://u:p/w@h"), "redis://u:***@h");
  EXPECT_EQ(shown_kv_url("redis://:1/2@h"), "redis://:***@h");
  EXPECT_EQ(shown_kv_url("redis://u:1/2@h"), "redis://u:***@h");
  EXPECT_EQ(shown_kv_url("redis://u:p?w@h"), "redis://u:***@h");
  EXPECT_EQ(shown_kv_url("redis:u:p@h"), "redis:u:***@h");
  EXPECT_EQ(shown_kv_url("redis:/u:p@h"), "redis:/u:***@h");
  EXPECT_EQ(shown_kv_url("u:p@h"), "u:***@h");
  EXPECT_EQ(shown_kv_url("rediss://u:p@h"), "rediss://u:***@h");
  EXPECT_EQ(shown_kv_url(":@"), ":***@");
  for (const char* url : {"", ":", "::", "@", "redis:", "redis:/", "redis://", "redis://u@h"}) {
    EXPECT_EQ(shown_kv_url(url), url);
  }
}

}  // namespace
}  // namespace casdisk
