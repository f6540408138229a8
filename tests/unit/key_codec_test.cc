#include "cas/kv/key_codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace casdisk {
namespace {

using std::string;
using std::string_literals::operator""s;

// The example of docs/FORMAT.md.
TEST(KeyCodec, TheDocumentsExample) {
  EXPECT_EQ(KvKeyWriter(3).number(258).name("a\0b"s).raw("c").take(),
            "\x03\0\0\0\0\0\0\x01\x02"
            "a\0\xff"
            "b\0\x01"
            "c"s);
}

TEST(KeyCodec, WhatIsWrittenIsRead) {
  const string key =
      KvKeyWriter(7).name("").number(~uint64_t(0)).name("\0\xff\0"s).number(0).take();
  KvKeyReader reader(key);
  EXPECT_EQ(reader.scope(), 7);
  EXPECT_EQ(reader.name(), "");
  EXPECT_EQ(reader.number(), ~uint64_t(0));
  EXPECT_EQ(reader.name(), "\0\xff\0"s);
  EXPECT_FALSE(reader.finished());
  EXPECT_EQ(reader.number(), 0u);
  EXPECT_TRUE(reader.finished());
}

TEST(KeyCodec, NothingElseIsRead) {
  EXPECT_TRUE(KvKeyReader("").failed());
  const auto name_fails = [](const string& rest) {
    const string key = "\x01" + rest;
    KvKeyReader reader(key);
    EXPECT_EQ(reader.name(), "");
    return reader.failed() && !reader.finished();
  };
  EXPECT_TRUE(name_fails(""));
  EXPECT_TRUE(name_fails("abc"));
  EXPECT_TRUE(name_fails("abc\0"s));
  EXPECT_TRUE(name_fails("abc\0\x02"s));
  KvKeyReader short_number(
      "\x01"
      "1234567");
  EXPECT_EQ(short_number.number(), 0u);
  EXPECT_TRUE(short_number.failed());
}

// Keys sort as (number, name, number) do, and names as bytes do.
TEST(KeyCodec, KeysSortAsTheirFields) {
  std::mt19937_64 random(1);
  struct Fields {
    uint64_t parent;
    string name;
    uint64_t block;
    auto operator<=>(const Fields&) const = default;
  };
  const char alphabet[] = {0, 1, 2, 'a', 'b', char(0x80), char(0xfe), char(0xff)};
  const uint64_t numbers[] = {0, 1, 255, 256, 65535, 65536, ~uint64_t(0) - 1, ~uint64_t(0)};
  std::vector<Fields> all;
  for (int i = 0; i < 2000; i++) {
    string name;
    for (uint64_t length = random() % 4; length > 0; length--) name += alphabet[random() % 8];
    all.push_back({numbers[random() % 8], name, numbers[random() % 8]});
  }
  std::ranges::sort(all);
  const auto key_of = [](const Fields& fields) {
    return KvKeyWriter(1).number(fields.parent).name(fields.name).number(fields.block).take();
  };
  for (size_t i = 1; i < all.size(); i++) {
    EXPECT_EQ(key_of(all[i - 1]) < key_of(all[i]), all[i - 1] < all[i]);
    const string prefix = KvKeyWriter(1).number(all[i].parent).name_prefix(all[i].name).take();
    const bool begins_so =
        all[i - 1].parent == all[i].parent && all[i - 1].name.starts_with(all[i].name);
    EXPECT_EQ(key_of(all[i - 1]).starts_with(prefix), begins_so);
  }
}

TEST(KeyCodec, TheEndOfAPrefix) {
  EXPECT_EQ(kv_prefix_end("a"), "b");
  EXPECT_EQ(kv_prefix_end("a\xff\xff"), "b");
  EXPECT_EQ(kv_prefix_end("a\xfe"), "a\xff");
  EXPECT_EQ(kv_prefix_end("\0"s), "\1");
  EXPECT_EQ(kv_prefix_end("\xff\xff"), std::nullopt);
  EXPECT_EQ(kv_prefix_end(""), std::nullopt);
}

}  // namespace
}  // namespace casdisk
