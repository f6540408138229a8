#include "cas/os/bytes.h"

#include <gtest/gtest.h>

namespace casdisk {
namespace {

TEST(Bytes, NumbersAreLittleEndian) {
  std::byte bytes[8];
  store_le(bytes, uint64_t(0x0807060504030201));
  for (int i = 0; i < 8; i++) EXPECT_EQ(int(bytes[i]), i + 1);
  EXPECT_EQ(load_le<uint64_t>(bytes), 0x0807060504030201u);
  EXPECT_EQ(load_le<uint32_t>(bytes + 4), 0x08070605u);
  EXPECT_EQ(load_le<uint16_t>(bytes), 0x0201u);
}

TEST(Bytes, WhatIsWrittenIsRead) {
  Bytes bytes = ByteWriter().number(uint16_t(0xfffe)).text("name").number(uint8_t(7)).take();
  EXPECT_EQ(bytes.size(), 2 + 2 + 4 + 1u);
  ByteReader reader(bytes);
  EXPECT_EQ(reader.number<uint16_t>(), 0xfffe);
  EXPECT_EQ(reader.text(), "name");
  EXPECT_FALSE(reader.finished());
  EXPECT_EQ(reader.number<uint8_t>(), 7);
  EXPECT_TRUE(reader.finished());
}

TEST(Bytes, ReadingOffTheEndFailsForGood) {
  Bytes bytes = ByteWriter().number(uint32_t(5)).take();
  ByteReader reader(bytes);
  EXPECT_EQ(reader.number<uint64_t>(), 0u);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.number<uint32_t>(), 0u);  // not the 5: the reader does not know where it is
  EXPECT_FALSE(reader.finished());
}

TEST(Bytes, TextLongerThanTheRestFails) {
  Bytes bytes = ByteWriter().number(uint16_t(100)).number(uint8_t('x')).take();
  ByteReader reader(bytes);
  EXPECT_EQ(reader.text(), "");
  EXPECT_TRUE(reader.failed());
}

}  // namespace
}  // namespace casdisk
