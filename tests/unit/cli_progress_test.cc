#include <gtest/gtest.h>

#include "nbd/cli/progress.h"

namespace casdisk {
namespace {

constexpr uint64_t kMiB = 1024 * 1024;

TEST(CliProgress, RateNeedsTwoSamplesSomeTimeApart) {
  RateMeter meter;
  EXPECT_EQ(meter.bytes_per_second(), std::nullopt);
  meter.add(0, 1000);
  meter.add(kMiB, 1050);
  EXPECT_EQ(meter.bytes_per_second(), std::nullopt);
  meter.add(2 * kMiB, 2000);
  EXPECT_EQ(meter.bytes_per_second(), 2.0 * kMiB);
}

TEST(CliProgress, RateForgetsWhatIsLongAgo) {
  RateMeter meter;
  int64_t now_ms = 0;
  uint64_t position = 0;
  for (int i = 0; i < 100; i++) meter.add(position += 10 * kMiB, now_ms += 100);
  for (int i = 0; i < 100; i++) meter.add(position += kMiB, now_ms += 100);
  ASSERT_TRUE(meter.bytes_per_second());
  EXPECT_NEAR(*meter.bytes_per_second(), 10.0 * kMiB, kMiB);
}

TEST(CliProgress, RateOfWorkThatStandsStillIsZero) {
  RateMeter meter;
  for (int64_t now_ms = 0; now_ms < 10000; now_ms += 10) meter.add(kMiB, now_ms);
  EXPECT_EQ(meter.bytes_per_second(), 0.0);
}

TEST(CliProgress, LineHasPercentBytesRateAndTimeLeft) {
  ProgressState state{"import a", 1000 * kMiB, 250 * kMiB, 75.0 * kMiB, 5000};
  EXPECT_EQ(
      progress_line(state, 100),
      "import a  [#######.......................]  25%  250 MiB of 1000 MiB  75 MiB/s  10 s left");
  EXPECT_LE(progress_line(state, 80).size(), 80u);
  EXPECT_EQ(progress_line(state, 20).size(), 20u);
}

TEST(CliProgress, LineIsNeverEarlyAtAHundredPercent) {
  ProgressState state{"x", 1000, 999, std::nullopt, 0};
  EXPECT_NE(progress_line(state, 80).find(" 99%"), std::string::npos);
  state.position_bytes = 1000;
  EXPECT_NE(progress_line(state, 80).find("100%"), std::string::npos);
  state.position_bytes = 5000;  // estimates may be wrong
  EXPECT_NE(progress_line(state, 80).find("100%"), std::string::npos);
  state.total_bytes = 0;
  EXPECT_NE(progress_line(state, 80).find("100%"), std::string::npos);
}

TEST(CliProgress, StreamHasNoTimeLeft) {
  ProgressState state{"import a", std::nullopt, 3 * kMiB, 1.0 * kMiB, 3000};
  EXPECT_EQ(progress_line(state, 80), "import a  3 MiB  1 MiB/s  3.00 s");
}

TEST(CliProgress, WorkWithoutMeasureShowsItsTime) {
  ProgressState state{"diff", std::nullopt, std::nullopt, std::nullopt, 61000};
  EXPECT_EQ(progress_line(state, 80), "diff  1:01");
}

TEST(CliProgress, BarThatIsNotSeenTakesPositions) {
  ProgressBar bar("x", 100, ProgressBar::Visible::kNo);
  bar.set(5);
  bar.set(3);
  EXPECT_GE(bar.elapsed_seconds(), 0.0);
}

}  // namespace
}  // namespace casdisk
