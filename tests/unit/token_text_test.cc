#include "nbd/auth/token_text.h"

#include <gtest/gtest.h>

#include "index/names.h"
#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

using std::string;

Token sample() {
  Token token;
  for (size_t i = 0; i < token.id.size(); i++) token.id[i] = uint8_t(i);
  for (size_t i = 0; i < token.secret.size(); i++) token.secret[i] = uint8_t(255 - i);
  return token;
}
const string kSample =
    "cdt_000102030405060708090a0b0c0d0e0f_"
    "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0";

TEST(TokenText, ItIsReadAsItIsWritten) {
  EXPECT_EQ(token_text(sample()), kSample);
  EXPECT_EQ(kSample.size(), kTokenTextBytes);
  const auto read = parse_token(kSample);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->id, sample().id);
  EXPECT_EQ(read->secret, sample().secret);
}

TEST(TokenText, EveryOtherTextIsNone) {
  for (size_t bytes = 0; bytes < kSample.size(); bytes++) {
    EXPECT_FALSE(parse_token(kSample.substr(0, bytes))) << bytes;
  }
  EXPECT_FALSE(parse_token(kSample + "0"));
  for (size_t at = 0; at < kSample.size(); at++) {
    for (const char c : {'g', 'A', '@', ' ', '\0', '/'}) {
      string changed = kSample;
      changed[at] = c;
      EXPECT_FALSE(parse_token(changed)) << at << " " << c;
    }
  }
}

TEST(TokenText, ItCanEndAnExportsName) {
  EXPECT_OK(check_name(kSample, "checkpoint"));
  const auto split = [](const string& name) {
    const NameWithToken both = split_token(name);
    return both.name + "|" + both.token;
  };
  EXPECT_EQ(split("web@" + kSample), "web|" + kSample);
  EXPECT_EQ(split("web@monday@" + kSample), "web@monday|" + kSample);
  EXPECT_EQ(split("@" + kSample), "|" + kSample);
  EXPECT_EQ(split("web"), "web|");
  EXPECT_EQ(split(""), "|");
  EXPECT_EQ(split("web@monday"), "web@monday|");
  EXPECT_EQ(split("web@cdt"), "web@cdt|");
  EXPECT_EQ(split("cdt_web"), "cdt_web|") << "a disk of that name";
  EXPECT_EQ(split("web@" + kSample.substr(0, 60)), "web|" + kSample.substr(0, 60))
      << "a token that lost its end is not shown as a checkpoint's name";
}

}  // namespace
}  // namespace casdisk
