#include "nbd/size_text.h"

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

uint64_t parsed(std::string_view text) {
  auto size = parse_size(text, "size");
  EXPECT_OK(size);
  return size.ok() ? size.value() : 0;
}

TEST(SizeText, ReadsPlainNumbersAndUnits) {
  EXPECT_EQ(parsed("0"), 0u);
  EXPECT_EQ(parsed("12345"), 12345u);
  EXPECT_EQ(parsed("1K"), 1024u);
  EXPECT_EQ(parsed("10g"), uint64_t(10) << 30);
  EXPECT_EQ(parsed("10GB"), uint64_t(10) << 30);
  EXPECT_EQ(parsed("3MiB"), uint64_t(3) << 20);
  EXPECT_EQ(parsed("512B"), 512u);
  EXPECT_EQ(parsed("7E"), uint64_t(7) << 60);
  EXPECT_EQ(parsed("9223372036854775807"), kMaxSizeBytes);
}

TEST(SizeText, RefusesWhatIsNoSize) {
  for (auto text : {"", "G", "-1", "+1", " 1", "1 ", "1.5G", "0x10", "1Q", "1GG", "1KiBB", "1e3",
                    "8E", "9223372036854775808", "99999999999999999999", "1\n"}) {
    EXPECT_FAULT(parse_size(text, "size"), Fault::kInvalid) << text;
  }
}

TEST(SizeText, WritesTheShortestForm) {
  EXPECT_EQ(size_text(0), "0");
  EXPECT_EQ(size_text(1023), "1023");
  EXPECT_EQ(size_text(1024), "1K");
  EXPECT_EQ(size_text(12345), "12.1K");
  EXPECT_EQ(size_text(uint64_t(10) << 30), "10G");
  EXPECT_EQ(size_text((uint64_t(3) << 30) / 2), "1.5G");
  EXPECT_EQ(size_text(uint64_t(7) << 60), "7E");
}

}  // namespace
}  // namespace casdisk
