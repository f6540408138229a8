#include "cas/kv/group_commit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

using std::string;

// Every write is done once, in one commit at a time, and hears of its own outcome.
TEST(GroupCommit, EachHearsOfItsOwn) {
  std::map<string, int> done;
  std::atomic<int> running = 0;
  int commit_count = 0;
  GroupCommit group_commit([&](std::span<GroupCommit::Request* const> group) {
    EXPECT_EQ(++running, 1);
    commit_count++;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // as a device takes
    for (GroupCommit::Request* request : group) {
      const KvOperation& operation = request->write.operations[0];
      done[string(operation.key)]++;
      if (operation.value == "bad") {
        request->outcome = Error{Fault::kConflict, 0, string(operation.key)};
      } else {
        request->outcome = std::vector<KvOutcome>{{std::stoull(string(operation.key)), 0}};
      }
    }
    running--;
  });
  constexpr int kThreads = 16;
  constexpr int kWrites = 20;
  std::vector<std::thread> threads;
  for (int me = 0; me < kThreads; me++) {
    threads.emplace_back([&, me] {
      for (int i = 0; i < kWrites; i++) {
        const string key = std::to_string(me * kWrites + i);
        const bool is_bad = i % 3 == 0;
        const KvOperation put{KvOperation::Kind::kPut, key, is_bad ? "bad" : "good"};
        auto outcome = group_commit.write({{&put, 1}});
        if (is_bad) {
          ASSERT_FAULT(outcome, Fault::kConflict);
          EXPECT_EQ(outcome.error().context, key);
        } else {
          ASSERT_OK(outcome);
          EXPECT_EQ(std::to_string(outcome.value()[0].version), key);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done.size(), size_t(kThreads * kWrites));
  for (const auto& [key, count] : done) EXPECT_EQ(count, 1) << key;
  EXPECT_LT(commit_count, kThreads * kWrites / 4);
}

// What is large does not wait for, and is not made to wait by, more than a few others.
TEST(GroupCommit, AGroupHasBounds) {
  const string large(3 << 20, 'v');
  std::atomic<size_t> most_bytes = 0;
  GroupCommit group_commit([&](std::span<GroupCommit::Request* const> group) {
    size_t bytes = 0;
    for (GroupCommit::Request* request : group) {
      bytes += request->write.operations[0].value.size();
      request->outcome = std::vector<KvOutcome>(1);
    }
    most_bytes = std::max(most_bytes.load(), bytes);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  });
  std::vector<std::thread> threads;
  for (int me = 0; me < 8; me++) {
    threads.emplace_back([&] {
      const KvOperation put{KvOperation::Kind::kPut, "k", large};
      for (int i = 0; i < 3; i++) EXPECT_OK(group_commit.write({{&put, 1}}));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most_bytes, large.size());
}

}  // namespace
}  // namespace casdisk
