#include "cas/crc32c.h"

#include <gtest/gtest.h>

#include "cas/os/bytes.h"

namespace casdisk {
namespace {

TEST(Crc32c, KnownAnswers) {
  EXPECT_EQ(crc32c({}), 0u);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  // RFC 3720, B.4.
  EXPECT_EQ(crc32c(Bytes(32)), 0x8a9136aau);
  EXPECT_EQ(crc32c(Bytes(32, std::byte(0xff))), 0x62a8ab43u);
}

TEST(Crc32c, AnyAlignmentAndLength) {
  Bytes bytes(300);
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = std::byte(uint8_t(i * 7));
  for (size_t offset = 0; offset < 9; offset++) {
    for (size_t length : {1, 7, 8, 63, 64, 255}) {
      const auto piece = std::span(bytes).subspan(offset, length);
      EXPECT_EQ(crc32c(piece), crc32c(Bytes(piece.begin(), piece.end())));
    }
  }
}

}  // namespace
}  // namespace casdisk
