#include "cas/os/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

TEST(Parallel, EachOnce) {
  for (unsigned threads : {0u, 1u, 2u, 7u}) {
    std::vector<std::atomic<int>> calls(100);
    ASSERT_OK(parallel_for(calls.size(), threads, [&](size_t i) -> Result<void> {
      calls[i]++;
      return {};
    }));
    for (const auto& count : calls) EXPECT_EQ(count, 1) << threads;
  }
}

TEST(Parallel, NothingToDo) {
  EXPECT_OK(parallel_for(0, 4, [](size_t) -> Result<void> {
    return Error{Fault::kInvalid, 0, "called"};
  }));
}

TEST(Parallel, OneThreadIsTheCallersAndInOrder) {
  std::vector<size_t> order;
  const auto caller = std::this_thread::get_id();
  ASSERT_OK(parallel_for(5, 1, [&](size_t i) -> Result<void> {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    order.push_back(i);
    return {};
  }));
  EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2, 3, 4}));
}

TEST(Parallel, UsesSeveralThreads) {
  std::atomic<int> inside = 0;
  ASSERT_OK(parallel_for(2, 2, [&](size_t) -> Result<void> {
    inside++;
    while (inside < 2) std::this_thread::yield();  // ends only if both run at once
    return {};
  }));
}

TEST(Parallel, FirstErrorStopsTheRest) {
  for (unsigned threads : {1u, 4u}) {
    std::atomic<size_t> calls = 0;
    auto done = parallel_for(1'000'000, threads, [&](size_t i) -> Result<void> {
      calls++;
      if (i == 10) return Error{Fault::kNoSpace, 0, "ten"};
      return {};
    });
    ASSERT_FAULT(done, Fault::kNoSpace);
    EXPECT_EQ(done.error().context, "ten");
    if (threads == 1) {
      EXPECT_EQ(calls, 11u);
    }
    EXPECT_LT(calls, 1'000'000u);
  }
}

TEST(Parallel, CoreCount) { EXPECT_GE(core_count(), 1u); }

}  // namespace
}  // namespace casdisk
