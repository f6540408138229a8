#include "nbd/kv/kv_copy.h"

#include <cerrno>

#include "cas/kv/kv_open.h"
#include "cas/kv/memory_kv.h"
#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

using std::string;
using Pairs = std::vector<std::pair<string, string>>;

constexpr uint64_t kNow = 1'700'000'000'000;

std::unique_ptr<KvStore> memory_with(const KvLimits& limits, KvCapabilities capabilities) {
  return std::make_unique<KvStore>(std::make_unique<MemoryKv>([] { return kNow; }), limits,
                                   capabilities, KvStoreSettings{.name = "memory:"});
}

std::unique_ptr<KvStore> memory() {
  return memory_with(MemoryKv::kLimits, MemoryKv::kCapabilities);
}

Pairs records_of(KvStore& store) {
  Pairs all;
  EXPECT_OK(store.dump([&](const KvRecord& record) -> Result<void> {
    all.emplace_back(record.key, record.value.bytes);
    return {};
  }));
  return all;
}

class KvCopyTest : public testing::Test {
 protected:
  KvCopyTest() {
    options_.clock = [] { return kNow; };
  }

  std::unique_ptr<KvStore> pool(const string& name) {
    auto opened = open_kv("hyperv:" + name + "@" + directory_.path(), {}, embedded_kv_schemes());
    EXPECT_OK(opened);
    return std::move(opened).value();
  }
  Result<void> copy() { return copy_kv(*from_, *to_, options_, report_); }

  TemporaryDirectory directory_;
  std::unique_ptr<KvStore> from_ = memory();
  std::unique_ptr<KvStore> to_ = memory();
  KvCopyOptions options_;
  KvCopyReport report_;
};

TEST_F(KvCopyTest, EveryRecordOnce) {
  uint64_t bytes = 0;
  for (int i = 0; i < 2500; i++) {
    const string key = "k" + std::to_string(i), value(size_t(i) % 7, 'v');
    ASSERT_OK(from_->put(key, value));
    bytes += key.size() + value.size();
  }
  uint64_t last_progress = 0;
  options_.progress = [&](uint64_t copied_bytes) {
    EXPECT_GT(copied_bytes, last_progress);
    last_progress = copied_bytes;
  };
  ASSERT_OK(copy());
  EXPECT_EQ(records_of(*to_), records_of(*from_));
  EXPECT_EQ(report_.copied_count, 2500u);
  EXPECT_EQ(report_.copied_bytes, bytes);
  EXPECT_EQ(last_progress, bytes);
  EXPECT_EQ(report_.lengthened_count + report_.expired_count + report_.shadowed_count, 0u);
}

// The batches are the target's: its limits are not passed, whatever a page of the source has.
TEST_F(KvCopyTest, InBatchesThatTheTargetTakes) {
  KvLimits limits = MemoryKv::kLimits;
  limits.operation_count = 3;
  limits.write_bytes = 100;
  to_ = memory_with(limits, MemoryKv::kCapabilities);
  for (int i = 0; i < 20; i++) {
    ASSERT_OK(from_->put(std::to_string(i), string(size_t(i % 5) * 30, 'v')));
  }
  ASSERT_OK(from_->put("large", string(1000, 'v')));  // alone it may be larger than a batch
  ASSERT_OK(copy());
  EXPECT_EQ(records_of(*to_), records_of(*from_));
  // One by one where there are no batches.
  auto plain = memory_with({.key_bytes = 10, .value_bytes = 1000}, {});
  to_.swap(plain);
  ASSERT_OK(copy());
  EXPECT_EQ(records_of(*to_), records_of(*from_));
}

TEST_F(KvCopyTest, WhatIsThereIsKeptUnlessMerged) {
  ASSERT_OK(from_->put("a", "1"));
  ASSERT_OK(from_->put("b", "1"));
  ASSERT_OK(to_->put("b", "2"));
  ASSERT_OK(to_->put("c", "2"));
  auto refused = copy();
  ASSERT_FAULT(refused, Fault::kExists);
  EXPECT_NE(refused.error().context.find("--merge"), string::npos);
  EXPECT_EQ(records_of(*to_), (Pairs{{"b", "2"}, {"c", "2"}}));
  options_.merge = true;
  ASSERT_OK(copy());
  EXPECT_EQ(records_of(*to_), (Pairs{{"a", "1"}, {"b", "1"}, {"c", "2"}}));
}

TEST_F(KvCopyTest, RecordsKeepTheTimeThatTheyHaveLeft) {
  const KvRecord records[] = {{"long", {"1", 0, kNow + 3'600'000}},
                              {"short", {"1", 0, kNow + 59'999}},
                              {"minute", {"1", 0, kNow + 60'000}},
                              {"later", {"1", 0, kNow + 1000}},
                              {"stays", {"1"}}};
  ASSERT_OK(from_->load(records));
  // The clock of the copy is ahead of the source's, as the source's may be behind.
  options_.clock = [] { return kNow + 1000; };
  ASSERT_OK(copy());
  EXPECT_EQ(report_.copied_count, 4u);
  EXPECT_EQ(report_.lengthened_count, 2u);
  EXPECT_EQ(report_.expired_count, 1u);
  const auto expiry = [&](const string& key) {
    auto value = to_->get(key);
    EXPECT_OK(value);
    return value.ok() && value.value() ? value.value()->expires_at_ms - kNow : 1;
  };
  EXPECT_EQ(expiry("long"), 3'599'000u);
  EXPECT_EQ(expiry("short"), kMinKvTtlMs);
  EXPECT_EQ(expiry("minute"), kMinKvTtlMs);
  EXPECT_EQ(expiry("stays"), uint64_t(0) - kNow);
  EXPECT_EQ(expiry("later"), 1u);  // is not there
}

TEST_F(KvCopyTest, WhatDoesNotFitIsFoundBeforeAnythingIsCopied) {
  ASSERT_OK(from_->put("a", "1"));
  const auto expect_refused = [&](Fault fault, const string& said) {
    auto refused = copy();
    ASSERT_FAULT(refused, fault);
    EXPECT_NE(refused.error().context.find(said), string::npos) << refused.error().context;
    EXPECT_TRUE(refused.error().context.ends_with("; nothing was copied"));
    EXPECT_TRUE(records_of(*to_).empty());
  };
  to_ = memory_with({.key_bytes = 4, .value_bytes = 4, .record_count = 2, .is_text = true}, {});
  ASSERT_OK(from_->put("zzzzz", "1"));
  expect_refused(Fault::kTooLarge, "key \"zzzzz\"");
  ASSERT_OK(from_->remove("zzzzz"));
  ASSERT_OK(from_->put("z", "12345"));
  expect_refused(Fault::kTooLarge, "key \"z\"");
  ASSERT_OK(from_->put("z", string("\0", 1)));
  expect_refused(Fault::kInvalid, "key \"z\"");
  ASSERT_OK(from_->put("z", "1", {.ttl_ms = kMinKvTtlMs}));
  expect_refused(Fault::kUnsupported, "key \"z\": it expires");
  ASSERT_OK(from_->put("z", "1"));
  ASSERT_OK(from_->put("y", "1"));
  expect_refused(Fault::kLimit, "3 keys");
  ASSERT_OK(from_->remove("y"));
  ASSERT_OK(copy());
  EXPECT_EQ(records_of(*to_), (Pairs{{"a", "1"}, {"z", "1"}}));
}

TEST_F(KvCopyTest, DuplicatesGoWhereTheyCanBeAndElseTheLastOne) {
  const Pairs raw = {{"b", "1"}, {"a", "1"}, {"b", "2"}, {"c", "1"}};
  from_ = pool("guest");
  for (const auto& [key, value] : raw) {
    const KvRecord record{key, {value}};
    ASSERT_OK(from_->append({&record, 1}));
  }
  const Pairs once = {{"a", "1"}, {"b", "2"}, {"c", "1"}};
  ASSERT_OK(copy());
  EXPECT_EQ(records_of(*to_), once);
  EXPECT_EQ(report_.shadowed_count, 1u);
  to_ = pool("auto");
  ASSERT_OK(copy());
  EXPECT_EQ(records_of(*to_), raw);
  EXPECT_EQ(report_.copied_count, 4u);
  EXPECT_EQ(report_.shadowed_count, 0u);
  to_ = pool("external");
  ASSERT_OK(to_->put("c", "0"));
  options_.merge = true;
  ASSERT_OK(copy());
  EXPECT_EQ(records_of(*to_), (Pairs{{"c", "1"}, {"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(report_.shadowed_count, 1u);
}

TEST_F(KvCopyTest, OneThatStopsSaysHowFarItCameAndGoesOn) {
  for (int i = 100; i < 200; i++) ASSERT_OK(from_->put(std::to_string(i), "1"));
  KvLimits limits = MemoryKv::kLimits;
  limits.operation_count = 10;
  to_ = memory_with(limits, MemoryKv::kCapabilities);
  int looked = 0;
  options_.stop = [&] { return ++looked > 55; };
  auto stopped = copy();
  ASSERT_FAULT(stopped, Fault::kIo);
  EXPECT_EQ(stopped.error().os_error, EINTR);
  EXPECT_NE(stopped.error().context.find("50 records copied before"), string::npos);
  EXPECT_EQ(report_.copied_count, 50u);
  EXPECT_EQ(records_of(*to_).size(), 50u);
  options_.stop = [] { return false; };
  options_.merge = true;
  ASSERT_OK(copy());
  EXPECT_EQ(records_of(*to_), records_of(*from_));
}

}  // namespace
}  // namespace casdisk
