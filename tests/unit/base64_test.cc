#include "cas/os/base64.h"

#include <gtest/gtest.h>

namespace casdisk {
namespace {

// The examples of RFC 4648, and the two digits that other alphabets have not.
TEST(Base64, Examples) {
  const std::pair<std::string_view, std::string_view> examples[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {"\xfb\xff\xfe", "+//+"},
  };
  for (const auto& [bytes, text] : examples) {
    EXPECT_EQ(encode_base64(bytes), text);
    EXPECT_EQ(decode_base64(text), bytes);
  }
}

TEST(Base64, EveryByteAtEveryPlace) {
  for (int length = 1; length <= 4; length++) {
    for (int value = 0; value < 256; value++) {
      for (int at = 0; at < length; at++) {
        std::string bytes(size_t(length), '\x5a');
        bytes[size_t(at)] = char(value);
        EXPECT_EQ(decode_base64(encode_base64(bytes)), bytes);
      }
    }
  }
}

TEST(Base64, WhatIsNone) {
  for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zm9v=", "Zg==Zg==",
                          "Zm=v", "Zh==", "Zm9=", "Zm-v", "Zm_v", "Zm v", "Zm9v\n"}) {
    EXPECT_FALSE(decode_base64(bad)) << bad;
  }
}

}  // namespace
}  // namespace casdisk
