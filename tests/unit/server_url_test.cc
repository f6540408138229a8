#include "remotes/kv/server_url.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

TEST(ServerUrl, AllOfIt) {
  auto url = parse_server_url("//me:a%2fb%40c@one:1,two,[::1]:3/a/b%20c?x=1&y=%26&z", 99);
  ASSERT_OK(url);
  EXPECT_EQ(url.value().user, "me");
  EXPECT_EQ(url.value().password, "a/b@c");
  ASSERT_EQ(url.value().servers.size(), 3u);
  EXPECT_EQ(url.value().servers[0].host, "one");
  EXPECT_EQ(url.value().servers[0].port, 1);
  EXPECT_EQ(url.value().servers[1].port, 99);
  EXPECT_EQ(url.value().servers[2].host, "::1");
  EXPECT_EQ(url.value().servers[2].port, 3);
  EXPECT_EQ(url.value().path, "/a/b c");
  EXPECT_EQ(take_option(url.value(), "x"), "1");
  EXPECT_EQ(take_option(url.value(), "y"), "&");
  EXPECT_FAULT(expect_no_more_options(url.value()), Fault::kInvalid);
  EXPECT_EQ(take_option(url.value(), "z", "was not there"), "");
  EXPECT_EQ(take_option(url.value(), "z", "was not there"), "was not there");
  EXPECT_OK(expect_no_more_options(url.value()));
}

TEST(ServerUrl, LittleOfIt) {
  auto url = parse_server_url("//h", 99);
  ASSERT_OK(url);
  EXPECT_EQ(url.value().servers[0].host, "h");
  EXPECT_EQ(url.value().servers[0].port, 99);
  EXPECT_EQ(url.value().user + url.value().password + url.value().path, "");
  url = parse_server_url("//:pw@h?a=b/c@d", 99);
  ASSERT_OK(url);
  EXPECT_EQ(url.value().password, "pw");
  EXPECT_EQ(take_option(url.value(), "a"), "b/c@d");
  url = parse_server_url("///run/x.sock", 99);
  ASSERT_OK(url);
  EXPECT_TRUE(url.value().servers.empty());
  EXPECT_EQ(url.value().path, "/run/x.sock");
}

TEST(ServerUrl, NoneAtAll) {
  std::string many = "//h";
  for (size_t i = 0; i < kMaxServerCount; i++) many += ",h";
  for (const std::string& bad :
       {std::string(), std::string("h"), std::string("/h"), std::string("//h:0"),
        std::string("//h:65536"), std::string("//h:x"), std::string("//h:"), std::string("//:1"),
        std::string("//[::1"), std::string("//[::1]x"), std::string("//h,,i"),
        std::string("//h/%2"), std::string("//h/%zz"), std::string("//u:secret%@h"),
        std::string("//h?a=1&a=2"), many}) {
    auto url = parse_server_url(bad, 99);
    EXPECT_FAULT(url, Fault::kInvalid) << bad;
    EXPECT_EQ(url.error().context.find("secret"), std::string::npos);
  }
}

TEST(ServerUrl, Numbers) {
  auto url = parse_server_url("//h?a=7&b=8&c=x&d=-1&e=", 99);
  ASSERT_OK(url);
  auto number = take_number(url.value(), "a", 1, 7);
  ASSERT_OK(number);
  EXPECT_EQ(number.value(), 7u);
  for (const char* name : {"b", "c", "d", "e"}) {
    EXPECT_FAULT(take_number(url.value(), name, 1, 7), Fault::kInvalid) << name;
  }
  number = take_number(url.value(), "a", 1, 7);
  ASSERT_OK(number);
  EXPECT_EQ(number.value(), 1u);
}

}  // namespace
}  // namespace casdisk
