#include "remotes/kv/etcd_messages.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

using Kind = EtcdOperation::Kind;

TEST(EtcdMessages, Requests) {
  EXPECT_EQ(encode_etcd_range({.key = "a"}), R"({"key":"YQ=="})");
  EXPECT_EQ(encode_etcd_range({.key = "a",
                               .end = "b",
                               .limit = 7,
                               .revision = 8,
                               .keys_only = true,
                               .count_only = true}),
            R"({"key":"YQ==","range_end":"Yg==","limit":"7","revision":"8",)"
            R"("keys_only":true,"count_only":true})");
  EXPECT_EQ(encode_etcd_remove({.key = "a", .end = "b"}), R"({"key":"YQ==","range_end":"Yg=="})");
  EXPECT_EQ(encode_etcd_grant(~uint64_t(0) >> 1, 60), R"({"ID":"9223372036854775807","TTL":"60"})");
  EXPECT_EQ(encode_etcd_lease(3, true), R"({"ID":"3","keys":true})");
  EXPECT_EQ(encode_etcd_txn({}, {}, {}), R"({"compare":[],"success":[],"failure":[]})");
  EXPECT_EQ(
      encode_etcd_txn({{EtcdCompare::Kind::kAbsent, "a"},
                       {EtcdCompare::Kind::kExists, "b"},
                       {EtcdCompare::Kind::kRevision, "c", 5}},
                      {{Kind::kPut, {.key = "a"}, "b", 3}, {Kind::kRemove, {.key = "b"}}},
                      {{Kind::kRange, {.key = "c", .keys_only = true}}}),
      R"({"compare":[{"key":"YQ==","target":"CREATE","result":"EQUAL","create_revision":"0"},)"
      R"({"key":"Yg==","target":"CREATE","result":"GREATER","create_revision":"0"},)"
      R"({"key":"Yw==","target":"MOD","result":"EQUAL","mod_revision":"5"}],)"
      R"("success":[{"request_put":{"key":"YQ==","value":"Yg==","lease":"3"}},)"
      R"({"request_delete_range":{"key":"Yg=="}}],)"
      R"("failure":[{"request_range":{"key":"Yw==","keys_only":true}}]})");
}

TEST(EtcdMessages, Answers) {
  auto range = decode_etcd_range(
      R"({"header":{"cluster_id":"1","revision":"12","raft_term":"2"},"kvs":[)"
      R"({"key":"YQ==","create_revision":"2","mod_revision":"11","version":"1","value":"Yg=="},)"
      R"({"key":"YgA=","mod_revision":"3","lease":"7"}],"more":true,"count":"5"})");
  ASSERT_OK(range);
  EXPECT_EQ(range.value().revision, 12u);
  EXPECT_EQ(range.value().count, 5u);
  EXPECT_TRUE(range.value().has_more);
  ASSERT_EQ(range.value().records.size(), 2u);
  EXPECT_EQ(range.value().records[0].key, "a");
  EXPECT_EQ(range.value().records[0].value, "b");
  EXPECT_EQ(range.value().records[0].revision, 11u);
  EXPECT_EQ(range.value().records[0].lease, 0u);
  EXPECT_EQ(range.value().records[1].key, std::string("b\0", 2));
  EXPECT_EQ(range.value().records[1].value, "");
  EXPECT_EQ(range.value().records[1].lease, 7u);

  auto txn = decode_etcd_txn(
      R"({"header":{"revision":"4"},"succeeded":true,"responses":[)"
      R"({"response_range":{"header":{"revision":"3"},"kvs":[{"key":"YQ=="}],"count":"1"}},)"
      R"({"response_put":{"header":{"revision":"4"}}},)"
      R"({"response_delete_range":{"header":{"revision":"4"},"deleted":"1"}}]})");
  ASSERT_OK(txn);
  EXPECT_TRUE(txn.value().has_succeeded);
  EXPECT_EQ(txn.value().revision, 4u);
  ASSERT_EQ(txn.value().operations.size(), 3u);
  EXPECT_EQ(txn.value().operations[0].range.records.size(), 1u);
  EXPECT_EQ(txn.value().operations[2].removed_count, 1u);
  txn = decode_etcd_txn(R"({"header":{}})");
  ASSERT_OK(txn);
  EXPECT_FALSE(txn.value().has_succeeded);

  auto status = decode_etcd_status(R"({"version":"3.4.23","dbSize":"8","dbSizeInUse":"4"})");
  ASSERT_OK(status);
  EXPECT_EQ(status.value().version, "3.4.23");
  EXPECT_EQ(status.value().db_bytes, 8u);
  EXPECT_EQ(status.value().used_bytes, 4u);
  auto keys = decode_etcd_lease_keys(R"({"ID":"1","TTL":"2","keys":["YQ==","Yg=="]})");
  ASSERT_OK(keys);
  EXPECT_EQ(keys.value(), 2u);
  keys = decode_etcd_lease_keys(R"({"ID":"1","TTL":"-1"})");
  ASSERT_OK(keys);
  EXPECT_EQ(keys.value(), 0u);
}

TEST(EtcdMessages, WhatIsNoAnswer) {
  for (const char* bad :
       {"", "[]", "null", "1", "{", R"({"count":"x"})", R"({"count":"-1"})", R"({"count":true})",
        R"({"more":"yes"})", R"({"kvs":{}})", R"({"kvs":[{"key":"Y"}]})", R"({"kvs":[{"key":7}]})",
        R"({"count":"99999999999999999999"})"}) {
    EXPECT_FAULT(decode_etcd_range(bad), Fault::kDamaged) << bad;
  }
  // What is not looked for may be anything.
  EXPECT_OK(decode_etcd_range(R"({"header":[],"kvs":[7,[],null],"other":{}})"));
}

TEST(EtcdMessages, Refusals) {
  auto refusal =
      decode_etcd_refusal(400, R"({"error":"etcdserver: no","message":"etcdserver: no","code":5})");
  EXPECT_EQ(refusal.code, 5);
  EXPECT_EQ(refusal.text, "etcdserver: no");
  refusal = decode_etcd_refusal(502, "<html>Bad gateway</html>");
  EXPECT_EQ(refusal.code, 0);
  EXPECT_EQ(refusal.text, "HTTP status 502");
}

}  // namespace
}  // namespace casdisk
