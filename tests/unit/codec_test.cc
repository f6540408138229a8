#include "cas/codec.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"

namespace casdisk {
namespace {

class CodecTest : public testing::TestWithParam<Codec> {};
INSTANTIATE_TEST_SUITE_P(Both, CodecTest, testing::Values(Codec::kLz4, Codec::kZstd),
                         [](const auto& test) { return std::string(codec_name(test.param)); });

TEST_P(CodecTest, RoundTrip) {
  const Bytes plain = compressible_bytes(1);
  auto stored = compress(GetParam(), plain);
  ASSERT_TRUE(stored);
  EXPECT_LT(stored->size(), plain.size() / 4);
  Bytes back(plain.size());
  ASSERT_OK(decompress(GetParam(), *stored, back));
  EXPECT_EQ(back, plain);
}

TEST_P(CodecTest, ShortObjects) {
  for (size_t size : {0, 1, 15, 16, 100, 5000}) {
    const Bytes plain = compressible_bytes(2, size);
    auto stored = compress(GetParam(), plain);
    if (!stored) continue;
    Bytes back(size);
    ASSERT_OK(decompress(GetParam(), *stored, back));
    EXPECT_EQ(back, plain);
  }
}

// Between "not at all" and "by half": a chunk that saves 1/32 is kept raw, one that saves 1/8 is
// not.
TEST_P(CodecTest, CompressesOnlyWhatPays) {
  EXPECT_FALSE(compress(GetParam(), random_bytes(3)));
  for (auto [zeros, pays] :
       {std::pair(kChunkBytes / 32, false), std::pair(kChunkBytes / 8, true)}) {
    Bytes plain = random_bytes(4);
    std::fill_n(plain.begin(), zeros, std::byte(0));
    auto stored = compress(GetParam(), plain);
    EXPECT_EQ(stored.has_value(), pays) << zeros;
    EXPECT_LE(stored.value_or(Bytes()).size(), kChunkBytes - kChunkBytes / 16);
  }
}

TEST_P(CodecTest, DamageIsAnErrorAndStaysInBounds) {
  const Bytes plain = compressible_bytes(5);
  const Bytes stored = *compress(GetParam(), plain);
  Bytes wrong_size(plain.size() - 1);
  EXPECT_FAULT(decompress(GetParam(), stored, wrong_size), Fault::kDamaged);
  wrong_size.resize(plain.size() + 1);
  EXPECT_FAULT(decompress(GetParam(), stored, wrong_size), Fault::kDamaged);
  Bytes back(plain.size());
  const auto half = std::span(stored).first(stored.size() / 2);
  EXPECT_FAULT(decompress(GetParam(), half, back), Fault::kDamaged);
  EXPECT_FAULT(decompress(GetParam(), {}, back), Fault::kDamaged);
  EXPECT_FAULT(decompress(GetParam(), random_bytes(6), back), Fault::kDamaged);
}

TEST(Codec, NoneKeepsBytes) {
  const Bytes plain = random_bytes(7, 1000);
  EXPECT_FALSE(compress(Codec::kNone, plain));
  Bytes back(1000);
  ASSERT_OK(decompress(Codec::kNone, plain, back));
  EXPECT_EQ(back, plain);
  back.resize(999);
  EXPECT_FAULT(decompress(Codec::kNone, plain, back), Fault::kDamaged);
}

TEST(Codec, NamesAndBack) {
  for (Codec codec : {Codec::kNone, Codec::kLz4, Codec::kZstd}) {
    EXPECT_EQ(codec_from_name(codec_name(codec)), codec);
  }
  EXPECT_EQ(codec_name(Codec::kZstd), "zstd");
  EXPECT_FALSE(codec_from_name("gzip"));
  Bytes back(1);
  EXPECT_FAULT(decompress(Codec(9), Bytes(1), back), Fault::kDamaged);
}

}  // namespace
}  // namespace casdisk
