#include "nbd/duration_text.h"

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

TEST(DurationText, ReadsNumbersWithTheirUnit) {
  const auto parsed = [](std::string_view text) {
    auto duration = parse_duration(text, "--ttl");
    EXPECT_OK(duration);
    return duration.ok() ? duration.value() : 0;
  };
  EXPECT_EQ(parsed("0s"), 0u);
  EXPECT_EQ(parsed("1ms"), 1u);
  EXPECT_EQ(parsed("90s"), 90'000u);
  EXPECT_EQ(parsed("15m"), 900'000u);
  EXPECT_EQ(parsed("12h"), 43'200'000u);
  EXPECT_EQ(parsed("30d"), 2'592'000'000u);
  EXPECT_EQ(parsed("2w"), 1'209'600'000u);
  EXPECT_EQ(parsed("18446744073709551615ms"), UINT64_MAX);
}

TEST(DurationText, RefusesWhatIsNoTime) {
  for (const char* text : {"", "s", "90", "1.5h", "-1s", "+1s", " 1s", "1s ", "1 s", "1S", "1y",
                           "1sec", "18446744073709551616ms", "18446744073709552s"}) {
    auto duration = parse_duration(text, "--ttl");
    ASSERT_FAULT(duration, Fault::kInvalid) << text;
    EXPECT_TRUE(duration.error().context.starts_with("--ttl \"")) << duration.error().context;
  }
}

}  // namespace
}  // namespace casdisk
