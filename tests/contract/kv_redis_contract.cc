// What holds of a store in Redis beside the contract of all key-value stores.
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "remotes/kv/kv_schemes.h"
#include "remotes/kv/redis_kv.h"
#include "tests/contract/kv_contract.h"
#include "tests/support/local_server.h"

namespace casdisk {
namespace {

using std::string;

class KvRedis : public testing::Test {
 protected:
  void SetUp() override {
    const string reason = make_redis_server(directory_.path())->skip_reason();
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
  void start(std::vector<string> more = {}) {
    server_ = make_redis_server(directory_.path(), std::move(more));
    ASSERT_OK(server_->start());
  }
  Result<std::unique_ptr<KvStore>> open(const string& options = {}) {
    return open_kv(server_->url() + options, {}, all_kv_schemes());
  }
  RedisAddress address() { return {.name = "test", .socket_path = directory_ / "redis.sock"}; }
  // A command past the store.
  RedisReply command(const std::vector<std::string_view>& arguments) {
    auto reply = RedisClient(address()).call(arguments, {});
    EXPECT_OK(reply);
    return reply.ok() ? std::move(reply).value() : RedisReply();
  }
  static uint64_t record_count(KvStore& store) {
    auto stats = store.stats();
    EXPECT_OK(stats);
    return stats.ok() ? stats.value().record_count : ~uint64_t(0);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<LocalServer> server_;
};

TEST_F(KvRedis, DurableIsWhatTheServerSays) {
  const std::pair<std::vector<string>, const char*> cases[] = {
      {{}, ""},
      {{"--appendonly", "no"}, "appendonly"},
      {{"--appendfsync", "everysec"}, "appendfsync"},
      {{"--no-appendfsync-on-rewrite", "yes"}, "no-appendfsync-on-rewrite"},
      {{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, "maxmemory-policy"},
      {{"--rename-command", "CONFIG", ""}, "CONFIG"},
  };
  for (const auto& [more, problem] : cases) {
    start(more);
    const bool is_durable = string(problem).empty();
    auto store = open();
    ASSERT_OK(store);
    EXPECT_EQ(store.value()->capabilities().has(KvCapability::kDurable), is_durable) << problem;
    auto stats = store.value()->stats();
    ASSERT_OK(stats);
    ASSERT_FALSE(stats.value().more.empty());
    EXPECT_EQ(stats.value().more[0].first, "durable");
    EXPECT_NE(stats.value().more[0].second.find(is_durable ? "yes" : problem), string::npos);
    auto strict = open("?durable=require");
    if (is_durable) {
      EXPECT_OK(strict);
    } else {
      EXPECT_FAULT(strict, Fault::kUnsupported);
      EXPECT_NE(strict.error().context.find(problem), string::npos) << strict.error().context;
    }
  }
}

TEST_F(KvRedis, UsersAndPasswords) {
  start({"--requirepass", "top secret"});
  EXPECT_FAULT(open(), Fault::kInvalid);
  const string path = directory_ / "redis.sock";
  auto wrong = open_kv("redis+unix://:wrong%20secret@" + path, {}, all_kv_schemes());
  ASSERT_FAULT(wrong, Fault::kInvalid);
  EXPECT_EQ(wrong.error().context.find("secret"), string::npos);
  auto right = open_kv("redis+unix://default:top%20secret@" + path, {}, all_kv_schemes());
  ASSERT_OK(right);
  EXPECT_EQ(right.value()->name(), "redis+unix://default:***@" + path);
  std::ofstream(directory_ / "password") << "top secret\nand more\n";
  EXPECT_OK(open("?password_file=" + directory_ / "password"));
  EXPECT_FAULT(open("?password_file=" + directory_ / "nowhere"), Fault::kInvalid);
}

// What docs/KV.md says that a user needs is enough; and without any of it nothing is half done.
TEST_F(KvRedis, AUserWithoutACommandMakesNoHalves) {
  start();
  auto admin = open();
  ASSERT_OK(admin);
  const std::vector<string> needed = {
      "+get",   "+set",     "+exists",      "+getrange",        "+unlink", "+time",
      "+zadd",  "+zrem",    "+zrange",      "+zrangebylex",     "+eval",   "+zrangebyscore",
      "+zcard", "+evalsha", "+script|load", "+zremrangebyrank", "+info",   "+config|get"};
  for (size_t left_out = 0; left_out <= needed.size(); left_out++) {
    ASSERT_OK(admin.value()->load(std::vector<KvRecord>{{"a", {"old"}}, {"b", {"old"}}}));
    std::vector<std::string_view> rules = {"ACL", "SETUSER", "web",       "reset",
                                           "on",  ">secret", "~casdisk:*"};
    for (size_t i = 0; i < needed.size(); i++) {
      if (i != left_out) rules.push_back(needed[i]);
    }
    command(rules);
    const bool has_all = left_out == needed.size();
    const string what = has_all ? "all" : "all but " + needed[left_out];
    auto opened =
        open_kv("redis+unix://web:secret@" + directory_ / "redis.sock", {}, all_kv_schemes());
    if (has_all) {
      ASSERT_OK(opened);
    }
    if (!opened.ok()) {
      EXPECT_FAULT(opened, Fault::kInvalid) << what;
      continue;
    }
    auto& store = *opened.value();
    const auto done_or_refused = [&](const auto& done) {
      if (has_all) {
        EXPECT_OK(done);
      } else if (!done.ok()) {
        EXPECT_FAULT(done, Fault::kInvalid) << what;
      }
      return done.ok();
    };
    const bool is_put = done_or_refused(
        store.write(KvBatch().put("a", "new", kMinKvTtlMs).put("c", "new").remove("b")));
    auto a = admin.value()->get("a");
    auto records = admin.value()->list("");
    ASSERT_OK(a);
    ASSERT_OK(records);
    EXPECT_EQ(a.value()->bytes, is_put ? "new" : "old") << what;
    EXPECT_EQ(a.value()->expires_at_ms != 0, is_put) << what;
    EXPECT_EQ(command({"PTTL", "casdisk:record:a"}).number > 0, is_put) << what;
    ASSERT_EQ(records.value().records.size(), 2u) << what;
    EXPECT_EQ(records.value().records[1].key, is_put ? "c" : "b") << what;
    EXPECT_EQ(record_count(*admin.value()), 2u) << what;

    const KvRecord loaded{"d", {"new", 0, kMaxKvExpiryMs}};
    const bool is_loaded = done_or_refused(store.load({&loaded, 1}));
    EXPECT_EQ(record_count(*admin.value()), is_loaded ? 1u : 2u) << what;
    const bool is_empty = done_or_refused(store.truncate());
    if (is_empty) {
      EXPECT_EQ(record_count(*admin.value()), 0u) << what;
    }
    done_or_refused(store.sweep());
    done_or_refused(store.stats());
    done_or_refused(store.list(""));
    done_or_refused(store.get_range("a", 0, 1));
  }
}

TEST_F(KvRedis, DatabasesAreSeparate) {
  start();
  auto first = open("?db=1");
  auto second = open("?db=2");
  ASSERT_OK(first);
  ASSERT_OK(second);
  ASSERT_OK(first.value()->put("a", "1"));
  auto is_there = second.value()->exists("a");
  ASSERT_OK(is_there);
  EXPECT_FALSE(is_there.value());
  EXPECT_FAULT(open("?db=1000"), Fault::kIo);  // a server has 16
}

TEST_F(KvRedis, WhatIsOfSomebodyElseStaysSo) {
  start();
  command({"SET", "casdisk:form", "of another kind"});
  EXPECT_FAULT(open(), Fault::kUnsupported);
  EXPECT_EQ(command({"GET", "casdisk:form"}).text, "of another kind");
  command({"SET", "casdisk:form", "1"});
  auto store = open();
  ASSERT_OK(store);
  ASSERT_OK(store.value()->put("a", "1"));
  command({"SET", "casdisk:record:a", "short"});
  EXPECT_FAULT(store.value()->get("a"), Fault::kDamaged);
  EXPECT_FAULT(store.value()->list(""), Fault::kDamaged);
}

// Not even when a server lost all that it had, its counter too.
TEST_F(KvRedis, VersionsGoOnBehindALoss) {
  start();
  auto store = open();
  ASSERT_OK(store);
  auto before = store.value()->put("a", "1");
  ASSERT_OK(before);
  command({"FLUSHALL"});
  auto after = store.value()->put("a", "2");
  ASSERT_OK(after);
  EXPECT_GT(after.value(), before.value());
}

TEST_F(KvRedis, AFullServerTakesNothingButRemoves) {
  start();
  auto store = open();
  ASSERT_OK(store);
  ASSERT_OK(store.value()->put("a", "1"));
  command({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_FAULT(store.value()->put("a", "2"), Fault::kNoSpace);
  EXPECT_FAULT(store.value()->write(KvBatch().remove("a").put("b", "2")), Fault::kNoSpace);
  EXPECT_EQ(record_count(*store.value()), 1u);
  auto value = store.value()->get("a");
  ASSERT_OK(value);
  ASSERT_TRUE(value.value());
  EXPECT_EQ(value.value()->bytes, "1");
  auto removed = store.value()->remove("a");
  ASSERT_OK(removed);
  EXPECT_TRUE(removed.value());
  EXPECT_OK(store.value()->truncate());
  command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_OK(store.value()->put("a", "3"));
}

// Redis takes a record away when it expires; its key leaves the sets with the next write, list or
// sweep.
TEST_F(KvRedis, WhatExpiredLeavesTheIndex) {
  start();
  auto store = open();
  ASSERT_OK(store);
  auto backend = RedisKv::open({.address = address()});
  ASSERT_OK(backend);
  const auto put_and_wait = [&] {
    const KvOperation puts[] = {{KvOperation::Kind::kPut, "a", "1", 100},
                                {KvOperation::Kind::kPut, "b", "1", 100}};
    ASSERT_OK(backend.value()->write({puts}));
    EXPECT_EQ(record_count(*store.value()), 2u);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (bool is_there = true; is_there && std::chrono::steady_clock::now() < deadline;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      auto exists = store.value()->exists("b");
      ASSERT_OK(exists);
      is_there = exists.value();
    }
  };
  put_and_wait();
  auto swept = store.value()->sweep();
  ASSERT_OK(swept);
  EXPECT_EQ(swept.value(), 2u);
  EXPECT_EQ(record_count(*store.value()), 0u);
  put_and_wait();
  EXPECT_OK(store.value()->list("", {.limit_count = 1}));
  EXPECT_EQ(record_count(*store.value()), 0u);
  put_and_wait();
  ASSERT_OK(store.value()->remove("c"));
  EXPECT_EQ(record_count(*store.value()), 0u);
  EXPECT_EQ(command({"ZCARD", "casdisk:expiries"}).number, 0);
}

TEST_F(KvRedis, DumpAndLoadKeepWhenRecordsExpire) {
  start();
  auto store = open();
  ASSERT_OK(store);
  ASSERT_OK(store.value()->put("a", "1", {.ttl_ms = kMaxKvTtlMs}));
  ASSERT_OK(store.value()->put("b", "2"));
  std::vector<KvRecord> records;
  ASSERT_OK(store.value()->dump([&](const KvRecord& record) -> Result<void> {
    records.push_back(record);
    return {};
  }));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_NE(records[0].value.expires_at_ms, 0u);
  records.push_back({"c", {"of yesterday", 0, 1}});
  ASSERT_OK(store.value()->load(records));
  EXPECT_EQ(record_count(*store.value()), 2u);
  const auto left_ms = uint64_t(command({"PTTL", "casdisk:record:a"}).number);
  EXPECT_GT(left_ms, kMaxKvTtlMs - 3'600'000);
  EXPECT_LE(left_ms, kMaxKvTtlMs);
  EXPECT_EQ(command({"PTTL", "casdisk:record:b"}).number, -1);
}

TEST_F(KvRedis, ALoadThatIsTooLargeChangesNothing) {
  start();
  auto store = open();
  ASSERT_OK(store);
  ASSERT_OK(store.value()->put("a", "1"));
  std::vector<KvRecord> many(RedisKv::kMaxLoadCount + 1);
  for (size_t i = 0; i < many.size(); i++) many[i].key = std::to_string(i);
  auto loaded = store.value()->load(many);
  ASSERT_FAULT(loaded, Fault::kTooLarge);
  EXPECT_EQ(loaded.error().max, RedisKv::kMaxLoadCount);
  EXPECT_EQ(loaded.error().actual, RedisKv::kMaxLoadCount + 1);
  std::vector<KvRecord> large(RedisKv::kMaxLoadBytes / RedisKv::kLimits.value_bytes + 1);
  for (size_t i = 0; i < large.size(); i++) {
    large[i] = {std::to_string(i), {string(RedisKv::kLimits.value_bytes, 'v')}};
  }
  EXPECT_FAULT(store.value()->load(large), Fault::kTooLarge);
  EXPECT_EQ(record_count(*store.value()), 1u);
  many.pop_back();
  ASSERT_OK(store.value()->load(many));
  EXPECT_EQ(record_count(*store.value()), many.size());
  EXPECT_OK(store.value()->truncate());
  EXPECT_EQ(record_count(*store.value()), 0u);
}

}  // namespace
}  // namespace casdisk
