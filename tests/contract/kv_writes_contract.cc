// What every key-value store must do with batches and with writers that race.
#include <thread>

#include "tests/contract/kv_contract.h"

namespace casdisk {
namespace {

using std::string;

void together(int thread_count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < thread_count; i++) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

TEST_P(KvContract, ABatchIsOneStep) {
  put("a", "1");
  put("b", "1");
  KvBatch batch;
  batch.put("a", "2").remove("b").remove("c").put("d", "2");
  if (!can(KvCapability::kBatch)) {
    EXPECT_FAULT(store_->write(batch), Fault::kUnsupported);
    EXPECT_EQ(get("a") + get("b") + get("d"), "11(none)");
    return;
  }
  auto outcomes = store_->write(batch);
  ASSERT_OK(outcomes);
  ASSERT_EQ(outcomes.value().size(), 4u);
  EXPECT_EQ(outcomes.value()[1].removed_count, 1u);
  EXPECT_EQ(outcomes.value()[2].removed_count, 0u);
  if (can(KvCapability::kVersions)) {
    EXPECT_EQ(outcomes.value()[0].version, version_of("a"));
    EXPECT_EQ(outcomes.value()[3].version, version_of("d"));
  }
  EXPECT_EQ(get("a") + get("b") + get("d"), "2(none)2");
  EXPECT_OK(store_->write(KvBatch()));
}

TEST_P(KvBatches, AConditionThatDoesNotHoldLeavesNoTrace) {
  put("there", "1");
  std::vector<KvBatch> refused(3);
  refused[0].require_absent("there");
  refused[1].require_exists("not there");
  refused[2].require_exists("there").require_absent("not there").require_exists("nor this");
  if (can(KvCapability::kVersions)) {
    const uint64_t old = version_of("there");
    put("there", "1");
    refused.emplace_back().require_version("there", old);
    refused.emplace_back().require_version("not there", old);
  }
  for (KvBatch& batch : refused) {
    batch.put("a", "2").remove("there").put("b", "2");
    EXPECT_FAULT(store_->write(batch), Fault::kConflict);
    EXPECT_EQ(keys(""), std::vector<string>{"there"});
  }
  KvBatch good;
  good.require_exists("there").require_absent("a").require_absent("b");
  if (can(KvCapability::kVersions)) good.require_version("there", version_of("there"));
  good.put("a", "2").remove("there").put("b", "2");
  ASSERT_OK(store_->write(good));
  EXPECT_EQ(keys(""), (std::vector<string>{"a", "b"}));
}

// What cannot be done is refused before anything is.
TEST_P(KvContract, ARefusedBatchLeavesNoTrace) {
  put("a", "1");
  const auto expect_refused = [&](KvBatch batch, Fault fault) {
    EXPECT_FAULT(store_->write(batch), fault);
    EXPECT_EQ(keys(""), std::vector<string>{"a"});
    EXPECT_EQ(get("a"), "1");
  };
  if (!can(KvCapability::kBatch)) {
    expect_refused(std::move(KvBatch().put("a", "2").put("b", "2")), Fault::kUnsupported);
    expect_refused(std::move(KvBatch().require_exists("a").put("b", "2")), Fault::kUnsupported);
    return;
  }
  expect_refused(std::move(KvBatch().put("b", "2").put("", "2")), Fault::kInvalid);
  expect_refused(std::move(KvBatch().put("b", "2").put("b", "3")), Fault::kInvalid);
  expect_refused(std::move(KvBatch().put("b", "2").remove("b")), Fault::kInvalid);
  const string too_large(limits().value_bytes + 1, 'v');
  expect_refused(std::move(KvBatch().put("b", "2").put("a", too_large)), Fault::kTooLarge);
  KvBatch too_long;
  for (size_t i = 0; i <= limits().operation_count; i++) too_long.put("k" + std::to_string(i), "");
  expect_refused(std::move(too_long), Fault::kTooLarge);
  if (!can(KvCapability::kTtl)) {
    expect_refused(std::move(KvBatch().put("b", "2").put("c", "2", kMinKvTtlMs)),
                   Fault::kUnsupported);
  }
  if (!can(KvCapability::kVersions)) {
    expect_refused(std::move(KvBatch().put("b", "2").require_version("a", 1)), Fault::kUnsupported);
  }
}

TEST_P(KvBatches, ABatchOfAsManyAsThereMayBe) {
  const size_t count = std::min<size_t>(limits().operation_count, 4096);
  KvBatch batch;
  for (size_t i = 0; i < count; i++) batch.put("k" + std::to_string(i), "1");
  ASSERT_OK(store_->write(batch));
  EXPECT_EQ(keys("").size(), count);
}

// A reader sees all of a batch or nothing of it.
TEST_P(KvBatches, ReadersSeeWholeBatches) {
  const auto write_all = [&](const string& value) {
    KvBatch batch;
    for (int i = 0; i < 8; i++) batch.put("k" + std::to_string(i), value);
    ASSERT_OK(store_->write(batch));
  };
  write_all("0");
  std::atomic<bool> is_over = false;
  std::thread reader([&] {
    while (!is_over) {
      auto page = store_->list("k");
      ASSERT_OK(page);
      ASSERT_EQ(page.value().records.size(), 8u);
      for (const KvRecord& record : page.value().records) {
        EXPECT_EQ(record.value.bytes, page.value().records[0].value.bytes);
      }
    }
  });
  for (int i = 1; i < 100; i++) write_all(std::to_string(i));
  is_over = true;
  reader.join();
}

// Two that make the same thing: one wins, and nothing of the other is left.
TEST_P(KvContract, OneOfManyMakesIt) {
  for (int round = 0; round < 10; round++) {
    const string name = "name/" + std::to_string(round);
    std::atomic<int> winner_count = 0;
    std::atomic<int> winner = -1;
    together(4, [&](int me) {
      auto put = store_->put(name, std::to_string(me), {.if_absent = true});
      if (!put.ok()) {
        EXPECT_FAULT(put, Fault::kConflict);
        return;
      }
      winner_count++;
      winner = me;
    });
    EXPECT_EQ(winner_count, 1);
    EXPECT_EQ(get(name), std::to_string(winner));
  }
}

TEST_P(KvBatches, ARecordAndItsIndexAreMadeTogether) {
  for (int round = 0; round < 10; round++) {
    const string number = std::to_string(round);
    std::atomic<int> winner = -1;
    together(4, [&](int me) {
      const string id = number + "-" + std::to_string(me);
      KvBatch batch;
      batch.require_absent("by-name/" + number).put("by-name/" + number, id).put("user/" + id, "u");
      auto written = store_->write(batch);
      if (written.ok()) {
        EXPECT_EQ(winner.exchange(me), -1);
      } else {
        EXPECT_FAULT(written, Fault::kConflict);
      }
    });
    EXPECT_EQ(get("by-name/" + number), number + "-" + std::to_string(winner));
    EXPECT_EQ(keys("user/" + number + "-").size(), 1u);
  }
}

TEST_P(KvContract, ACounterCountsEveryThread) {
  const auto increment = [](std::string_view text) -> Result<string> {
    return std::to_string(std::stoi(string(text)) + 1);
  };
  if (!can(KvCapability::kVersions)) {
    EXPECT_FAULT(store_->read_modify_write("n", "0", increment), Fault::kUnsupported);
    EXPECT_EQ(get("n"), "(none)");
    return;
  }
  constexpr int kThreads = 4;
  constexpr int kRounds = 100;
  together(kThreads, [&](int) {
    int last = 0;
    for (int i = 0; i < kRounds; i++) {
      auto value = store_->read_modify_write("n", "0", increment);
      ASSERT_OK(value);
      EXPECT_GT(std::stoi(value.value().bytes), last);  // nobody gets a number twice
      last = std::stoi(value.value().bytes);
    }
  });
  EXPECT_EQ(get("n"), std::to_string(kThreads * kRounds));
}

TEST_P(KvVersions, AChangeThatFailsChangesNothing) {
  put("a", "1");
  EXPECT_FAULT(store_->read_modify_write("a", "",
                                         [](auto) -> Result<string> {
                                           return Error{Fault::kBusy, 0, "no"};
                                         }),
               Fault::kBusy);
  EXPECT_EQ(get("a"), "1");
  // Somebody else is always faster: there is an end to trying.
  int tries = 0;
  auto refused = store_->read_modify_write("a", "", [&](auto) -> Result<string> {
    put("a", std::to_string(++tries));
    return string("mine");
  });
  EXPECT_FAULT(refused, Fault::kConflict);
  EXPECT_EQ(tries, kMaxKvTries);
  EXPECT_EQ(get("a"), std::to_string(kMaxKvTries));
}

TEST_P(KvContract, ManyWritersOfTheirOwnKeys) {
  together(8, [&](int me) {
    for (int i = 0; i < 30; i++) {
      put("k" + std::to_string(me) + "/" + std::to_string(i), std::to_string(i));
    }
  });
  EXPECT_EQ(keys("").size(), 240u);
  EXPECT_EQ(get("k7/29"), "29");
}

}  // namespace
}  // namespace casdisk
