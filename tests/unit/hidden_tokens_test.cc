#include "nbd/auth/hidden_tokens.h"

#include <gtest/gtest.h>

#include "nbd/auth/token_text.h"

namespace casdisk {
namespace {

TEST(HiddenTokens, TokensAreHiddenWhereverTheyStand) {
  Token token;
  token.id.fill(0x12);
  token.secret.fill(0xab);
  const std::string text = token_text(token);
  EXPECT_EQ(with_tokens_hidden("disk name \"web:" + text + "\": no"),
            "disk name \"web:cdt_***\": no");
  EXPECT_EQ(with_tokens_hidden(text + "/" + text), "cdt_***/cdt_***");
  EXPECT_EQ(with_tokens_hidden("web@" + text.substr(0, text.size() / 2)), "web@cdt_***");
  EXPECT_EQ(with_tokens_hidden("web@cdt_" + text), "web@cdt_***");
}

TEST(HiddenTokens, OtherWordsStayAsTheyAre) {
  for (const char* text : {"", "no disk named web", "cdt", "cdt_", "/srv/cdt_images/a.raw",
                           "cdt_short and cdt_other"}) {
    EXPECT_EQ(with_tokens_hidden(text), text);
  }
}

}  // namespace
}  // namespace casdisk
