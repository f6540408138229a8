#include "index/store_format.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

TEST(StoreFormat, GoldenLine) {
  EXPECT_EQ(encode_store_format(Codec::kZstd), "casdisk store, format 1, codec zstd\n");
}

TEST(StoreFormat, EveryCodecComesBack) {
  for (Codec codec : {Codec::kNone, Codec::kLz4, Codec::kZstd}) {
    auto decoded = decode_store_format(encode_store_format(codec));
    ASSERT_OK(decoded);
    EXPECT_EQ(decoded.value(), codec);
  }
}

TEST(StoreFormat, WhatIsNoSuchLineIsDamage) {
  const std::string line = encode_store_format(Codec::kLz4);
  for (size_t length = 0; length < line.size(); length++) {
    EXPECT_FAULT(decode_store_format(line.substr(0, length)), Fault::kDamaged);
  }
  for (const char* wrong :
       {"casdisk store, format 01, codec lz4\n", "casdisk store, format 1, codec lz5\n",
        "casdisk store, format 1, codec lz4\n\n", "casdisk store, format -1, codec lz4\n"}) {
    EXPECT_FAULT(decode_store_format(wrong), Fault::kDamaged) << wrong;
  }
}

TEST(StoreFormat, AnotherFormatIsUnsupportedAndNamed) {
  auto decoded = decode_store_format("casdisk store, format 2, codec new and better\n");
  EXPECT_FAULT(decoded, Fault::kUnsupported);
  EXPECT_NE(decoded.error().context.find("format 2"), std::string::npos);
}

}  // namespace
}  // namespace casdisk
