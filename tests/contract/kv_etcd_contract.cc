// What holds of a store in etcd beside the contract of all key-value stores.
#include <csignal>

#include "remotes/kv/etcd_kv.h"
#include "remotes/kv/kv_schemes.h"
#include "tests/contract/kv_contract.h"
#include "tests/support/local_server.h"

namespace casdisk {
namespace {

using std::string;
using Repeat = EtcdClient::Repeat;

class KvEtcd : public testing::Test {
 protected:
  void SetUp() override {
    const string reason = make_etcd_server(directory_.path())->skip_reason();
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
  void start(std::vector<string> more = {}) {
    server_ = make_etcd_server(directory_.path(), std::move(more));
    ASSERT_OK(server_->start());
    auto parts = parse_server_url(server_->url().substr(string("etcd:").size()), 0);
    ASSERT_OK(parts);
    address_ = {.name = "test", .members = parts.value().servers};
    auto opened = open_kv(server_->url(), {}, all_kv_schemes());
    ASSERT_OK(opened);
    store_ = std::move(opened).value();
  }
  // A request past the store.
  string post(std::string_view path, std::string_view body) {
    auto answer = EtcdClient(address_).call(path, body, Repeat::kNever);
    EXPECT_OK(answer);
    return answer.ok() ? std::move(answer).value() : string();
  }
  size_t lease_count() {
    const string leases = post("lease/leases", "{}");
    size_t count = 0;
    for (size_t at = 0; (at = leases.find("\"ID\"", at)) != leases.npos; at++) count++;
    return count;
  }
  string get(const string& key) {
    auto value = store_->get(key);
    EXPECT_OK(value);
    return value.ok() && value.value() ? value.value()->bytes : "(none)";
  }

  TemporaryDirectory directory_;
  std::unique_ptr<LocalServer> server_;
  EtcdAddress address_;
  std::unique_ptr<KvStore> store_;
};

TEST_F(KvEtcd, ALeaseGoesWithTheLastRecordOnIt) {
  start();
  ASSERT_OK(store_->put("a", "1", {.ttl_ms = kMinKvTtlMs}));
  EXPECT_EQ(lease_count(), 1u);
  ASSERT_OK(store_->put("a", "2", {.ttl_ms = kMinKvTtlMs}));
  EXPECT_EQ(lease_count(), 1u);
  ASSERT_OK(store_->put("a", "3"));
  EXPECT_EQ(lease_count(), 0u);
  EXPECT_EQ(get("a"), "3");

  ASSERT_OK(store_->write(
      KvBatch().put("a", "4", kMinKvTtlMs).put("b", "4", kMinKvTtlMs).put("c", "4", kMaxKvTtlMs)));
  EXPECT_EQ(lease_count(), 2u);
  ASSERT_OK(store_->put("a", "5"));
  EXPECT_EQ(lease_count(), 2u);
  EXPECT_EQ(get("a") + get("b") + get("c"), "544");
  ASSERT_OK(store_->remove("b"));
  EXPECT_EQ(lease_count(), 1u);

  EXPECT_FAULT(store_->put("a", "6", {.if_absent = true, .ttl_ms = kMinKvTtlMs}), Fault::kConflict);
  EXPECT_EQ(lease_count(), 1u);
  EXPECT_EQ(get("c"), "4");
}

TEST_F(KvEtcd, WhenARecordExpiresIsKnown) {
  start();
  const uint64_t before_ms = system_kv_clock();
  ASSERT_OK(store_->put("a", "1", {.ttl_ms = kMinKvTtlMs}));
  ASSERT_OK(store_->put("b", "1"));
  for (const bool with_values : {false, true}) {
    auto page = store_->list("", {.with_values = with_values});
    ASSERT_OK(page);
    ASSERT_EQ(page.value().records.size(), 2u);
    EXPECT_GE(page.value().records[0].value.expires_at_ms, before_ms + kMinKvTtlMs);
    EXPECT_LE(page.value().records[0].value.expires_at_ms, system_kv_clock() + kMinKvTtlMs);
    EXPECT_EQ(page.value().records[1].value.expires_at_ms, 0u);
  }
}

// The largest batch that passes our checks passes etcd's.
TEST_F(KvEtcd, RequestsHaveABound) {
  start();
  const size_t count = EtcdKv::kMaxOperationCount;
  KvBatch largest;
  size_t bytes_left = EtcdKv::kLimits.write_bytes;
  for (size_t i = 0; i < count; i++) {
    const string key = string(1000, 'k') + std::to_string(i);
    const size_t bytes = i + 1 < count ? EtcdKv::kLimits.write_bytes / count : bytes_left;
    largest.put(key, string(bytes - key.size(), 'v'));
    bytes_left -= bytes;
  }
  ASSERT_OK(store_->write(largest));
  ASSERT_OK(store_->truncate());

  KvBatch beyond;
  beyond.put("a", "1");
  for (int i = 0; i < 30; i++) {
    beyond.require_absent(string(kMaxSoughtKeyBytes - 2, 'k') + std::to_string(10 + i));
  }
  auto refused = store_->write(beyond);
  ASSERT_FAULT(refused, Fault::kTooLarge);
  EXPECT_EQ(refused.error().max, EtcdKv::kMaxRequestBytes);
  EXPECT_GT(refused.error().actual, EtcdKv::kMaxRequestBytes);
  EXPECT_EQ(get("a"), "(none)");
}

TEST_F(KvEtcd, ADumpIsOfOneMoment) {
  start();
  constexpr int kCount = 1500;  // more than a slice has
  for (int i = 0; i < kCount; i += 100) {
    KvBatch batch;
    for (int j = i; j < i + 100; j++) batch.put("k" + std::to_string(10'000 + j), "1");
    ASSERT_OK(store_->write(batch));
  }
  for (const bool is_compacted : {false, true}) {
    int seen_count = 0;
    bool is_newcomer_seen = false;
    ASSERT_OK(store_->dump([&](const KvRecord& record) -> Result<void> {
      if (++seen_count == 1) {
        TRY(store_->put("k99999", "behind"));
        TRY(store_->remove("k11400"));
        if (is_compacted) {
          TRY_ASSIGN(const auto last, store_->get("k99999"));
          post("kv/compaction", R"({"revision":")" + std::to_string(last->version) + R"("})");
        }
      }
      is_newcomer_seen |= record.key == "k99999";
      return {};
    }));
    // When that moment is compacted away, it goes on with what is there: one more, one less.
    EXPECT_EQ(is_newcomer_seen, is_compacted);
    EXPECT_EQ(seen_count, kCount);
    ASSERT_OK(store_->remove("k99999"));
    ASSERT_OK(store_->put("k11400", "1"));
  }
}

TEST_F(KvEtcd, AFullServerTakesNothingButRemoves) {
  start({"--quota-backend-bytes", "2000000"});
  const string value(500'000, 'v');
  auto written = store_->put("a", value);
  for (int i = 0; i < 20 && written.ok(); i++) written = store_->put("a", value);
  EXPECT_FAULT(written, Fault::kNoSpace);
  EXPECT_FAULT(store_->put("b", "1"), Fault::kNoSpace);
  EXPECT_EQ(get("a").size(), value.size());
  EXPECT_EQ(get("b"), "(none)");
  auto removed = store_->remove("a");
  ASSERT_OK(removed);
  EXPECT_TRUE(removed.value());
}

TEST_F(KvEtcd, AnotherMemberAnswers) {
  start();
  // Nobody listens on port 1.
  const string url = server_->url();
  const string members = "etcd://127.0.0.1:1," + url.substr(url.find("//") + 2);
  auto store = open_kv(members, {}, all_kv_schemes());
  ASSERT_OK(store);
  ASSERT_OK(store.value()->put("a", "1"));
  EXPECT_EQ(get("a"), "1");
}

TEST_F(KvEtcd, WhatIsOfSomebodyElseStaysSo) {
  start();
  post("kv/put", R"({"key":"b3RoZXIvZm9ybQ==","value":"eA=="})");
  EXPECT_FAULT(open_kv(server_->url("other"), {}, all_kv_schemes()), Fault::kUnsupported);
  EXPECT_FAULT(open_kv("etcd://user:secret@h", {}, all_kv_schemes()), Fault::kInvalid);
  EXPECT_FAULT(open_kv("etcd:///prefix", {}, all_kv_schemes()), Fault::kInvalid);
}

}  // namespace
}  // namespace casdisk
