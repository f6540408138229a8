#include "nbd/serve/backoff.h"

#include <gtest/gtest.h>

#include <vector>

namespace casdisk {
namespace {

using std::chrono::milliseconds;

std::vector<int64_t> waits(Backoff& backoff, Backoff::Life life, int count) {
  std::vector<int64_t> found;
  found.reserve(size_t(count));
  for (int i = 0; i < count; i++) found.push_back(backoff.next(life).count());
  return found;
}

TEST(Backoff, AServerThatNeverAnswersIsTriedEverMoreSlowly) {
  Backoff backoff;
  EXPECT_EQ(waits(backoff, {false, milliseconds(20)}, 9),
            (std::vector<int64_t>{0, 100, 200, 400, 800, 1600, 3200, 5000, 5000}));
}

TEST(Backoff, OneThatAnsweredIsBackWithinAQuarterSecondHoweverOftenItDies) {
  Backoff backoff;
  EXPECT_EQ(waits(backoff, {true, milliseconds(20)}, 6),
            (std::vector<int64_t>{0, 100, 200, 250, 250, 250}));
  EXPECT_EQ(backoff.next({false, milliseconds(20)}), milliseconds(500));
}

TEST(Backoff, ALongLifeForgivesWhatWasBefore) {
  Backoff backoff;
  waits(backoff, {false, milliseconds(20)}, 8);
  EXPECT_EQ(backoff.next({true, milliseconds(9999)}), milliseconds(250));
  EXPECT_EQ(backoff.next({true, milliseconds(10000)}), milliseconds(0));
  EXPECT_EQ(backoff.next({true, milliseconds(20)}), milliseconds(100));
}

}  // namespace
}  // namespace casdisk
