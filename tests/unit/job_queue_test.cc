#include "cas/kv/job_queue.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

// Also what is added by a job, and what nobody has waited for when it ends.
TEST(JobQueue, RunsAllInTheirOrder) {
  std::vector<int> done;
  {
    JobQueue queue;
    ASSERT_OK(queue.start());
    for (int i = 0; i < 100; i++) {
      queue.add([&done, i] { done.push_back(i); });
    }
    queue.add([&] { queue.add([&] { done.push_back(100); }); });
  }
  ASSERT_EQ(done.size(), 101u);
  for (int i = 0; i <= 100; i++) EXPECT_EQ(done[size_t(i)], i);
}

TEST(JobQueue, OneThatNeverStartedEnds) { JobQueue queue; }

}  // namespace
}  // namespace casdisk
