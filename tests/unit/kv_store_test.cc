#include "cas/kv/kv_store.h"

#include <gtest/gtest.h>

#include "cas/kv/memory_kv.h"
#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

// A backend that does less than MemoryKv and fails the test when it is asked for more.
class SmallKv : public MemoryKv {
 public:
  static constexpr KvLimits kLimits = {
      .key_bytes = 8, .value_bytes = 16, .operation_count = 3, .write_bytes = 40, .is_text = true};
  static constexpr KvCapabilities kCapabilities = KvCapability::kBatch;

  explicit SmallKv(int* write_count) : MemoryKv(system_kv_clock), write_count_(write_count) {}
  Result<std::vector<KvOutcome>> write(const KvWrite& write) override {
    EXPECT_LE(write.operations.size(), kLimits.operation_count);
    ++*write_count_;
    return MemoryKv::write(write);
  }

 private:
  int* const write_count_;
};

TEST(KvStore, TheBackendNeverHearsOfWhatItCannotDo) {
  int write_count = 0;
  auto store = KvStore::over(std::make_unique<SmallKv>(&write_count), {.name = "small:"});
  EXPECT_FAULT(store->put("123456789", "1"), Fault::kTooLarge);
  EXPECT_FAULT(store->put("1", "12345678901234567"), Fault::kTooLarge);
  EXPECT_FAULT(store->put(std::string_view("a\0b", 3), "1"), Fault::kInvalid);
  EXPECT_FAULT(store->put("a", std::string_view("a\0b", 3)), Fault::kInvalid);
  EXPECT_FAULT(store->put("a", "1", {.ttl_ms = kMinKvTtlMs}), Fault::kUnsupported);
  EXPECT_FAULT(store->put("a", "1", {.if_version = 1}), Fault::kUnsupported);
  EXPECT_FAULT(store->put("a", "1", {.if_absent = true, .if_version = 1}), Fault::kInvalid);
  EXPECT_FAULT(store->write(KvBatch().put("a", "").put("b", "").put("c", "").put("d", "")),
               Fault::kTooLarge);
  EXPECT_FAULT(store->write(KvBatch()
                                .put("a", "1234567890123456")
                                .put("b", "1234567890123456")
                                .put("c", "1234567890123456")),
               Fault::kTooLarge);
  EXPECT_FAULT(store->load({}), Fault::kUnsupported);
  EXPECT_FAULT(store->append({}), Fault::kUnsupported);
  EXPECT_FAULT(store->snapshot("/nowhere"), Fault::kUnsupported);
  EXPECT_FAULT(store->compact(), Fault::kUnsupported);
  EXPECT_EQ(write_count, 0);
}

TEST(KvStore, RemovesManyInBatchesThatTheBackendTakes) {
  int write_count = 0;
  auto store = KvStore::over(std::make_unique<SmallKv>(&write_count), {.name = "small:"});
  std::vector<std::string> keys;
  for (char c = 'a'; c < 'k'; c++) {
    keys.push_back(std::string(1, c));
    ASSERT_OK(store->put(keys.back(), "1"));
  }
  write_count = 0;
  auto count = store->remove_many(keys);
  ASSERT_OK(count);
  EXPECT_EQ(count.value(), 10u);
  EXPECT_EQ(write_count, 4);
}

TEST(KvStore, ErrorsNameTheStoreAndTheKeyAndNoValue) {
  int write_count = 0;
  auto store = KvStore::over(std::make_unique<SmallKv>(&write_count), {.name = "small:"});
  auto refused = store->put("key\n", "a very secret value");
  ASSERT_FAULT(refused, Fault::kTooLarge);
  EXPECT_EQ(refused.error().context,
            "small:: key \"key\\x0a\": a value's bytes of 19, and 16 is the most");
  EXPECT_EQ(refused.error().max, 16u);
  EXPECT_EQ(refused.error().actual, 19u);
  EXPECT_EQ(kv_quote(std::string(200, 'k')).size(), 80u + 2 + 3);
  ASSERT_OK(store->put("key", "1"));
  refused = store->put("key", "secret", {.if_absent = true});
  ASSERT_FAULT(refused, Fault::kConflict);
  EXPECT_EQ(refused.error().context, "small:: key \"key\": it is there already");
  auto page = store->list("", {.cursor = "none of ours"});
  ASSERT_FAULT(page, Fault::kInvalid);
  EXPECT_TRUE(page.error().context.starts_with("small:: list: ")) << page.error().context;
}

// A list that does not get on would never end.
TEST(KvStore, AListThatGoesBackwardsIsDamage) {
  struct Backwards : MemoryKv {
    using MemoryKv::MemoryKv;
    Result<KvSlice> list(const KvListRequest& request) override {
      return KvSlice{{}, request.after.empty() ? "b" : "a"};
    }
  };
  auto store = KvStore::over(std::make_unique<Backwards>(system_kv_clock), {.name = "odd:"});
  EXPECT_FAULT(store->list(""), Fault::kDamaged);
}

TEST(KvStore, TellsWhatOperationsTookAndNothingThatIsSecret) {
  std::vector<KvTiming> timings;
  auto store = KvStore::over(
      std::make_unique<MemoryKv>(system_kv_clock),
      {.name = "memory:", .on_operation = [&](const KvTiming& t) { timings.push_back(t); }});
  ASSERT_OK(store->put("key", "value", {.ttl_ms = kMinKvTtlMs}));
  ASSERT_OK(store->get("key"));
  ASSERT_OK(store->get("other"));
  EXPECT_FAULT(store->put("key", "value", {.if_absent = true}), Fault::kConflict);
  ASSERT_OK(store->list("k"));
  ASSERT_EQ(timings.size(), 5u);
  EXPECT_EQ(timings[0].operation, "put");
  EXPECT_EQ(timings[0].key_bytes, 3u);
  EXPECT_EQ(timings[0].value_bytes, 5u);
  EXPECT_EQ(timings[0].ttl_ms, kMinKvTtlMs);
  EXPECT_FALSE(timings[0].fault);
  EXPECT_EQ(timings[1].count, 1u);
  EXPECT_EQ(timings[1].value_bytes, 5u);
  EXPECT_EQ(timings[2].count, 0u);
  EXPECT_EQ(timings[3].fault, Fault::kConflict);
  EXPECT_EQ(timings[4].operation, "list");
  EXPECT_EQ(timings[4].count, 1u);
}

}  // namespace
}  // namespace casdisk
