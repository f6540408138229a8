// What every key-value store must do with records that expire.
#include <chrono>
#include <thread>

#include "tests/contract/kv_contract.h"

namespace casdisk {
namespace {

using std::string;

TEST_P(KvContract, ATtlHasBounds) {
  put("a", "1");
  if (!can(KvCapability::kTtl)) {
    EXPECT_FAULT(store_->put("a", "2", {.ttl_ms = kMinKvTtlMs}), Fault::kUnsupported);
    EXPECT_FAULT(store_->put("b", "2", {.ttl_ms = kMinKvTtlMs}), Fault::kUnsupported);
    EXPECT_EQ(get("a") + get("b"), "1(none)");
    return;
  }
  for (const uint64_t bad : {uint64_t(1), kMinKvTtlMs - 1, kMaxKvTtlMs + 1, ~uint64_t(0)}) {
    EXPECT_FAULT(store_->put("a", "2", {.ttl_ms = bad}), Fault::kInvalid);
    EXPECT_FAULT(store_->write(KvBatch().put("a", "2", bad)), Fault::kInvalid);
  }
  EXPECT_EQ(get("a"), "1");
  EXPECT_OK(store_->put("a", "2", {.ttl_ms = kMinKvTtlMs}));
  EXPECT_OK(store_->put("b", "2", {.ttl_ms = kMaxKvTtlMs}));
  EXPECT_EQ(get("a") + get("b"), "22");
}

TEST_P(KvExpiry, WhatExpiredIsHidden) {
  put("b", "lasting");
  for (const char* key : {"a", "c", "d"}) put_for_a_while(key, "1");
  auto value = store_->get("a");
  ASSERT_OK(value);
  ASSERT_TRUE(value.value());
  EXPECT_EQ(value.value()->expires_at_ms, now_ms_ + kTtlMs);
  now_ms_ += kTtlMs - 1;
  EXPECT_EQ(keys("").size(), 4u);
  now_ms_ += 1;
  EXPECT_EQ(get("a"), "(none)");
  auto is_there = store_->exists("a");
  ASSERT_OK(is_there);
  EXPECT_FALSE(is_there.value());
  auto part = store_->get_range("a", 0, 1);
  ASSERT_OK(part);
  EXPECT_FALSE(part.value());
  for (const size_t limit : {1, 2, 3, 4}) EXPECT_EQ(keys("", limit), std::vector<string>{"b"});
  EXPECT_TRUE(keys("c").empty());
  auto removed = store_->remove("a");
  ASSERT_OK(removed);
  EXPECT_FALSE(removed.value());
}

TEST_P(KvExpiry, ManyExpiredOnesInBetween) {
  put("a", "1");
  for (int i = 0; i < 3000; i += 500) {
    KvBatch batch;
    for (int j = i; j < i + 500; j++) batch.put("k" + std::to_string(j), "1", kTtlMs);
    ASSERT_OK(store_->write(batch));
  }
  put("z", "1");
  now_ms_ += kTtlMs;
  EXPECT_EQ(keys("", 1), (std::vector<string>{"a", "z"}));
  EXPECT_TRUE(keys("k", 1).empty());
}

TEST_P(KvExpiry, ItExpiresForWritersToo) {
  put_for_a_while("a", "1");
  EXPECT_FAULT(store_->put("a", "2", {.if_absent = true}), Fault::kConflict);
  const uint64_t version = version_of("a");
  now_ms_ += kTtlMs;
  EXPECT_FAULT(store_->put("a", "2", {.if_version = version}), Fault::kConflict);
  EXPECT_FAULT(store_->write(KvBatch().require_exists("a").put("a", "2")), Fault::kConflict);
  ASSERT_OK(store_->put("a", "2", {.if_absent = true}));
  EXPECT_NE(version_of("a"), version);
  now_ms_ += 10 * kTtlMs;
  EXPECT_EQ(get("a"), "2");  // for ever: the TTL was the old value's
}

TEST_P(KvExpiry, ANewTtlIsAnotherTtl) {
  put_for_a_while("a", "1");
  now_ms_ += kTtlMs / 2;
  put_for_a_while("a", "2");
  now_ms_ += kTtlMs / 2;
  EXPECT_EQ(get("a"), "2");
  now_ms_ += kTtlMs / 2;
  EXPECT_EQ(get("a"), "(none)");
}

TEST_P(KvExpiry, ReadModifyWriteBeginsAnew) {
  put_for_a_while("n", "7");
  now_ms_ += kTtlMs;
  auto value = store_->read_modify_write("n", "0", [](auto text) -> Result<string> {
    return std::to_string(std::stoi(string(text)) + 1);
  });
  ASSERT_OK(value);
  EXPECT_EQ(value.value().bytes, "1");
}

TEST_P(KvExpiry, ASweepRemovesWhatNobodySees) {
  put("b", "1");
  for (int i = 0; i < 50; i++) put_for_a_while("k" + std::to_string(i), "1");
  auto swept = store_->sweep();
  ASSERT_OK(swept);
  EXPECT_EQ(swept.value(), 0u);
  now_ms_ += kTtlMs;
  put_for_a_while("k7", "again");             // must not be swept
  const size_t left_count = dumped().size();  // that put may have taken some of them along
  EXPECT_LE(left_count, 51u);
  EXPECT_GT(left_count, 30u);
  swept = store_->sweep();
  ASSERT_OK(swept);
  EXPECT_EQ(swept.value(), left_count - 2);
  EXPECT_EQ(dumped().size(), 2u);
  EXPECT_EQ(get("k7"), "again");
  auto stats = store_->stats();
  ASSERT_OK(stats);
  EXPECT_EQ(stats.value().record_count, 2u);
}

TEST_P(KvExpiry, AClockBefore1970ExpiresNothing) {
  put_for_a_while("a", "1");
  now_ms_ = 0;
  EXPECT_EQ(get("a"), "1");
  auto swept = store_->sweep();
  ASSERT_OK(swept);
  EXPECT_EQ(swept.value(), 0u);
}

TEST_P(KvExpiry, DumpAndLoadKeepIt) {
  put_for_a_while("a", "1");
  std::vector<KvRecord> records;
  ASSERT_OK(store_->dump([&](const KvRecord& record) -> Result<void> {
    records.push_back(record);
    return {};
  }));
  ASSERT_OK(store_->truncate());
  ASSERT_OK(store_->load(records));
  EXPECT_EQ(get("a"), "1");
  now_ms_ += kTtlMs;
  EXPECT_EQ(get("a"), "(none)");
}

TEST_P(KvLastingExpiry, ItOutlivesAReopening) {
  put_for_a_while("a", "1");
  reopen();
  EXPECT_EQ(get("a"), "1");
  now_ms_ += kTtlMs;
  reopen();
  EXPECT_EQ(get("a"), "(none)");
}

// Without the front, whose least TTL is more than a test may wait.
TEST_P(KvServerClock, AServersClockExpiresRecords) {
  auto backend = subject_->open_backend();
  ASSERT_NE(backend, nullptr);
  const KvOperation puts[] = {{KvOperation::Kind::kPut, "a", "1", 1000},
                              {KvOperation::Kind::kPut, "b", "1", 0}};
  ASSERT_OK(backend->write({puts}));
  EXPECT_EQ(keys(""), (std::vector<string>{"a", "b"}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (get("a") != "(none)" && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(get("a"), "(none)");
  EXPECT_EQ(keys("", 1), std::vector<string>{"b"});
  EXPECT_OK(store_->put("a", "2", {.if_absent = true}));
  EXPECT_EQ(keys("", 1), (std::vector<string>{"a", "b"}));
}

}  // namespace
}  // namespace casdisk
