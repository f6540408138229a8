#include "remotes/kv/etcd_kv.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cas/os/base64.h"
#include "tests/support/result_assertions.h"
#include "tests/support/scripted_server.h"

namespace casdisk {
namespace {

std::string http(int status, const std::string& body) {
  return fmt::format("HTTP/1.1 {} Any\r\nContent-Length: {}\r\n\r\n{}", status, body.size(), body);
}

std::string record(const std::string& key) {
  return fmt::format(R"({{"key":"{}","value":"{}"}})", encode_base64(key), encode_base64("1"));
}

// What a server may answer that no etcd does, or seldom.
class EtcdKvTest : public testing::Test {
 protected:
  void SetUp() override {
    server_.answer(http(200, R"({"kvs":[)" + record("casdisk/form") + "]}"));
    auto opened = EtcdKv::open(
        {.address = {.name = "etcd://test", .members = {{"127.0.0.1", server_.port()}}}});
    ASSERT_OK(opened);
    kv_ = std::move(opened).value();
  }
  Result<std::vector<KvOutcome>> put_for_a_while() {
    const KvOperation put{KvOperation::Kind::kPut, "a", "1", 60'000};
    return kv_->write({{&put, 1}});
  }
  size_t count_of(const std::string& path) {
    size_t count = 0;
    for (const std::string& request : server_.requests()) {
      count += request.starts_with("POST /v3/" + path + " ") ? 1 : 0;
    }
    return count;
  }

  ScriptedServer server_;
  std::unique_ptr<EtcdKv> kv_;
};

TEST_F(EtcdKvTest, RecordsThatNobodyAskedForAreDamage) {
  const KvListRequest request{.limit_count = 10, .limit_bytes = 1000};
  for (const char* key : {"", "casdisk/", "casdisk/form", "somebody else's, and longer"}) {
    server_.answer(http(200, R"({"kvs":[)" + record(key) + "]}"));
    EXPECT_FAULT(kv_->list(request), Fault::kDamaged) << key;
  }
  server_.answer(http(200, R"({"more":true})"));
  EXPECT_FAULT(kv_->list(request), Fault::kDamaged);
  server_.answer(http(200, "{"));
  EXPECT_FAULT(kv_->list(request), Fault::kDamaged);
  server_.answer(http(200, R"({"succeeded":true})"));
  const KvOperation put{KvOperation::Kind::kPut, "a", "1"};
  EXPECT_FAULT(kv_->write({{&put, 1}}), Fault::kDamaged);
}

// A transaction that may have been done: its record hangs on the lease.
TEST_F(EtcdKvTest, ALeaseStaysWhereItMayBeUsed) {
  for (const char* refusal : {"", R"({"error":"etcdserver: request timed out","code":14})"}) {
    server_.answer(http(200, "{}"));  // the grant
    server_.answer(*refusal == '\0' ? "" : http(503, refusal));
    EXPECT_FAULT(put_for_a_while(), Fault::kUnavailable);
  }
  EXPECT_EQ(count_of("lease/grant"), 2u);
  EXPECT_EQ(count_of("kv/txn"), 2u);
  EXPECT_EQ(count_of("lease/revoke"), 0u);
}

TEST_F(EtcdKvTest, ALeaseGoesWhereItIsNotUsed) {
  server_.answer(http(200, "{}"));
  server_.answer(http(400, R"({"error":"etcdserver: request is too large","code":3})"));
  server_.answer(http(200, "{}"));
  EXPECT_FAULT(put_for_a_while(), Fault::kTooLarge);
  EXPECT_EQ(count_of("lease/revoke"), 1u);
}

// Where nobody knows whether it was granted.
TEST_F(EtcdKvTest, AGrantWhoseAnswerIsLostIsTakenBack) {
  server_.answer("");
  server_.answer(http(200, "{}"));
  EXPECT_FAULT(put_for_a_while(), Fault::kUnavailable);
  EXPECT_EQ(count_of("lease/grant"), 1u);
  EXPECT_EQ(count_of("lease/revoke"), 1u);
  EXPECT_EQ(count_of("kv/txn"), 0u);
}

TEST_F(EtcdKvTest, AVersionBeyondItsRevisionsIsAConflict) {
  const KvOperation put{KvOperation::Kind::kPut, "a", "1"};
  for (const uint64_t version : {uint64_t(0), uint64_t(1) << 63, UINT64_MAX}) {
    const KvCondition condition{KvCondition::Kind::kVersion, "a", version};
    EXPECT_FAULT(kv_->write({{&put, 1}, {&condition, 1}}), Fault::kConflict) << version;
  }
  EXPECT_EQ(count_of("kv/txn"), 0u);
}

TEST_F(EtcdKvTest, ALeaseOfThatNumberMayExist) {
  server_.answer(http(400, R"({"error":"etcdserver: lease already exists","code":9})"));
  server_.answer(http(200, "{}"));
  server_.answer(http(
      200,
      R"({"header":{"revision":"7"},"succeeded":true,"responses":[{"response_range":{}},{"response_put":{}}]})"));
  auto written = put_for_a_while();
  ASSERT_OK(written);
  EXPECT_EQ(written.value()[0].version, 7u);
  EXPECT_EQ(count_of("lease/grant"), 2u);
}

}  // namespace
}  // namespace casdisk
