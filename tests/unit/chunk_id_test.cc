#include "cas/chunk_id.h"

#include <gtest/gtest.h>

#include "cas/os/bytes.h"

namespace casdisk {
namespace {

// From the test vectors of the BLAKE3 repository: input i is byte i % 251.
TEST(ChunkId, IsBlake3) {
  EXPECT_EQ(to_hex(hash_of({})),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  Bytes bytes(1024);
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = std::byte(uint8_t(i % 251));
  EXPECT_EQ(to_hex(hash_of(bytes)),
            "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7");
}

TEST(ChunkId, HexAndBack) {
  const ChunkId id = hash_of(as_bytes("casdisk"));
  EXPECT_EQ(to_hex(id).size(), 64u);
  EXPECT_EQ(chunk_id_from_hex(to_hex(id)), id);
}

TEST(ChunkId, RefusesWhatIsNoId) {
  const std::string hex = to_hex(hash_of({}));
  EXPECT_FALSE(chunk_id_from_hex(""));
  EXPECT_FALSE(chunk_id_from_hex(hex.substr(1)));
  EXPECT_FALSE(chunk_id_from_hex(hex + "00"));
  EXPECT_FALSE(chunk_id_from_hex("AF" + hex.substr(2)));
  EXPECT_FALSE(chunk_id_from_hex(hex.substr(0, 63) + "g"));
  EXPECT_FALSE(chunk_id_from_hex(hex.substr(0, 63) + "/"));
}

TEST(ChunkId, AllZero) {
  Bytes bytes(kChunkBytes);
  EXPECT_TRUE(is_all_zero({}));
  EXPECT_TRUE(is_all_zero(bytes));
  for (size_t i : {size_t(0), size_t(1), size_t(4095), size_t(kChunkBytes - 1)}) {
    bytes[i] = std::byte(1);
    EXPECT_FALSE(is_all_zero(bytes)) << i;
    bytes[i] = std::byte(0);
  }
  EXPECT_FALSE(is_all_zero(Bytes(64, std::byte(7))));
}

}  // namespace
}  // namespace casdisk
