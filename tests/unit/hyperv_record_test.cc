#include "cas/kv/hyperv_record.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cas/os/bytes.h"

namespace casdisk {
namespace {

using std::string;
using std::string_literals::operator""s;

Bytes encoded(const HypervRecord& record) {
  Bytes bytes(kHypervRecordBytes, std::byte(0xEE));
  encode_hyperv_record(record, bytes);
  return bytes;
}

// The bytes at `offset`, and zeros to the end of the field of `width`.
Bytes with_text(Bytes bytes, size_t offset, const string& text) {
  std::ranges::copy(std::as_bytes(std::span(text)), bytes.begin() + ptrdiff_t(offset));
  return bytes;
}

TEST(HypervRecord, GoldenBytes) {
  const Bytes zeros(2560);
  EXPECT_EQ(encoded({"k", "value"}), with_text(with_text(zeros, 0, "k"), 512, "value"));
  EXPECT_EQ(encoded({"", ""}), zeros);
  const string key(512, 'k');
  const string value(2048, 'v');
  EXPECT_EQ(encoded({key, value}), with_text(with_text(zeros, 0, key), 512, value));
}

TEST(HypervRecord, WhatIsEncodedIsDecoded) {
  for (const size_t key_bytes : {1, 254, 511, 512}) {
    for (const size_t value_bytes : {0, 1, 1022, 2047, 2048}) {
      const string key(key_bytes, 'k');
      const string value(value_bytes, 'v');
      const Bytes bytes = encoded({key, value});
      const HypervRecord record = decode_hyperv_record(bytes);
      EXPECT_EQ(record.key, key);
      EXPECT_EQ(record.value, value);
    }
  }
}

// The daemon copies a shorter value over a longer one, and moves records with strcpy.
TEST(HypervRecord, TheFirstNulEndsTheText) {
  Bytes bytes(2560, std::byte(0xFF));
  bytes = with_text(bytes, 0, "key\0LEFT"s);
  bytes = with_text(bytes, 512, "sh\0GVALUE\0\0more"s);
  EXPECT_EQ(decode_hyperv_record(bytes).key, "key");
  EXPECT_EQ(decode_hyperv_record(bytes).value, "sh");
  bytes[0] = bytes[512] = std::byte(0);
  EXPECT_EQ(decode_hyperv_record(bytes).key, "");
  EXPECT_EQ(decode_hyperv_record(bytes).value, "");
}

TEST(HypervRecord, TextIsAnyBytesWhenItIsRead) {
  Bytes bytes(2560, std::byte(0xFF));
  EXPECT_EQ(decode_hyperv_record(bytes).key, string(512, '\xff'));
  EXPECT_EQ(decode_hyperv_record(bytes).value, string(2048, '\xff'));
}

}  // namespace
}  // namespace casdisk
