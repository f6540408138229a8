#include "cas/os/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace casdisk {
namespace {

using namespace std::string_literals;

TEST(Utf8, WellFormedIsWhatTheStandardSays) {
  for (const char* text : {"", "a", "\x7f", "\u0080", "\u07ff", "\u0800", "\xed\x9f\xbf", "\ue000",
                           "\uffff", "\U00010000", "\U0010ffff", "a\u00e4\u65e5\U0001f600b"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const char* text :
       {"\x80", "\xbf", "\xc3", "\xc3(", "a\xe6\x97",
        "\xe6\x97"
        "a",
        "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff"}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
  EXPECT_TRUE(is_utf8("a\0b"s));
}

}  // namespace
}  // namespace casdisk
