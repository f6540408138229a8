// What a key-value store that a server keeps must do when the server stops, hangs or comes back.
#include <chrono>
#include <csignal>
#include <thread>

#include "remotes/kv/kv_schemes.h"
#include "tests/contract/kv_contract.h"
#include "tests/support/local_server.h"

namespace casdisk {
namespace {

using std::string;

struct ServerEntry {
  string name;
  std::unique_ptr<LocalServer> (*make)(const string& directory);
};

class KvServers : public testing::TestWithParam<ServerEntry> {
 public:
  void SetUp() override {
    server_ = GetParam().make(directory_.path());
    if (const string reason = server_->skip_reason(); !reason.empty()) GTEST_SKIP() << reason;
    ASSERT_OK(server_->start());
  }

 protected:
  std::unique_ptr<KvStore> open(const string& prefix = {}) {
    auto opened = open_kv(server_->url(prefix), {}, all_kv_schemes());
    EXPECT_OK(opened);
    return opened.ok() ? std::move(opened).value() : nullptr;
  }
  static string get(KvStore& store, const string& key) {
    auto value = store.get(key);
    EXPECT_OK(value);
    return value.ok() && value.value() ? value.value()->bytes : "(none)";
  }

  TemporaryDirectory directory_;
  std::unique_ptr<LocalServer> server_;
};

TEST_P(KvServers, OneThatIsNotThere) {
  server_->signal(SIGKILL);
  auto opened = open_kv(server_->url(), {}, all_kv_schemes());
  ASSERT_FAULT(opened, Fault::kUnavailable);
  EXPECT_NE(opened.error().context.find(server_->url()), string::npos);
  EXPECT_NE(opened.error().context.find(server_->program()), string::npos);  // the remedy
}

TEST_P(KvServers, OneThatIsKilledAndComesBack) {
  auto store = open();
  ASSERT_NE(store, nullptr);
  const auto expect_unavailable = [&] {
    EXPECT_FAULT(store->put("a", "2"), Fault::kUnavailable);
    EXPECT_FAULT(store->put("b", "2", {.if_absent = true}), Fault::kUnavailable);
    EXPECT_FAULT(store->get("a"), Fault::kUnavailable);
    EXPECT_FAULT(store->list(""), Fault::kUnavailable);
    EXPECT_FAULT(store->remove("a"), Fault::kUnavailable);
    EXPECT_FAULT(store->stats(), Fault::kUnavailable);
  };
  auto version = store->put("a", "1");
  ASSERT_OK(version);
  for (int round = 0; round < 2; round++) {
    server_->signal(SIGKILL);
    expect_unavailable();
    ASSERT_OK(server_->start());
    // The first call works: a lost connection that lay idle is nobody's error.
    version = store->put("a", "1", {.if_version = version.value()});
    ASSERT_OK(version);
    EXPECT_EQ(get(*store, "a") + get(*store, "b"), "1(none)");
  }
}

// What was acknowledged before kill -9 is there after it.
TEST_P(KvServers, OneThatIsKilledWhileItIsWritten) {
  constexpr int kWriters = 4;
  auto store = open();
  ASSERT_NE(store, nullptr);
  std::atomic<int> acknowledged[kWriters] = {};
  std::atomic<int> total = 0;
  std::vector<std::thread> writers;
  for (int me = 0; me < kWriters; me++) {
    writers.emplace_back([&, me] {
      for (int i = 1;; i++) {
        const string name = std::to_string(me) + "/" + std::to_string(i);
        auto written = store->write(KvBatch().put("one/" + name, name).put("two/" + name, name));
        if (!written.ok()) {
          EXPECT_FAULT(written, Fault::kUnavailable);
          return;
        }
        acknowledged[me] = i;
        total++;
      }
    });
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (total < 200 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  server_->signal(SIGKILL);
  for (std::thread& writer : writers) writer.join();
  EXPECT_GE(total, 200);
  ASSERT_OK(server_->start());
  for (int me = 0; me < kWriters; me++) {
    for (int i = 1; i <= acknowledged[me] + 1; i++) {
      const string name = std::to_string(me) + "/" + std::to_string(i);
      const string one = get(*store, "one/" + name);
      EXPECT_EQ(one, get(*store, "two/" + name));  // of a batch all or nothing
      if (i <= acknowledged[me]) {
        EXPECT_EQ(one, name);
      }
    }
  }
}

// What was asked of it meanwhile it may do late, behind changes that were made since; on the
// condition of a version, that does no harm.
TEST_P(KvServers, OneThatDoesNotAnswer) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const auto expect_in_the_end = [&](const std::function<Result<void>()>& body) {
    auto done = body();
    while (!done.ok() && std::chrono::steady_clock::now() < deadline) {
      EXPECT_TRUE(done.error().fault == Fault::kUnavailable ||
                  done.error().fault == Fault::kConflict);
      done = body();
    }
    ASSERT_OK(done);
  };
  auto patient = open();
  ASSERT_NE(patient, nullptr);
  const auto version = patient->put("a", "1");
  ASSERT_OK(version);
  std::unique_ptr<KvStore> hasty;
  expect_in_the_end([&]() -> Result<void> {
    TRY_ASSIGN(hasty, open_kv(server_->url() + "?timeout_ms=200", {}, all_kv_schemes()));
    return {};
  });
  server_->signal(SIGSTOP);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FAULT(hasty->put("a", "2", {.if_version = version.value()}), Fault::kUnavailable);
  EXPECT_FAULT(hasty->get("a"), Fault::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  server_->signal(SIGCONT);
  expect_in_the_end([&]() -> Result<void> {
    TRY_ASSIGN(const auto now, hasty->get("a"));
    TRY(hasty->put("a", "3", {.if_version = now->version}));
    return {};
  });
  EXPECT_EQ(get(*patient, "a"), "3");
}

// Clients of their own, as two machines would be: each change is made by one of them.
TEST_P(KvServers, TwoClientsCompareAndSet) {
  std::vector<std::unique_ptr<KvStore>> stores;
  for (int i = 0; i < 2; i++) stores.push_back(open());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 25; round++) {
        EXPECT_OK(stores[i % 2]->read_modify_write("n", "0", [](auto text) -> Result<string> {
          return std::to_string(std::stoi(string(text)) + 1);
        }));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(get(*stores[0], "n"), "100");
  const auto version = stores[0]->put("a", "1");
  ASSERT_OK(version);
  ASSERT_OK(stores[1]->put("a", "2", {.if_version = version.value()}));
  EXPECT_FAULT(stores[0]->put("a", "3", {.if_version = version.value()}), Fault::kConflict);
  EXPECT_EQ(get(*stores[0], "a"), "2");
}

TEST_P(KvServers, OneThatHoldsNoStoreYet) {
  EXPECT_FAULT(open_kv(server_->url(), {.may_create = false}, all_kv_schemes()), Fault::kNotFound);
  open();
  EXPECT_OK(open_kv(server_->url(), {.may_create = false}, all_kv_schemes()));
}

TEST_P(KvServers, OptionsThatItDoesNotHave) {
  for (const char* bad : {"?nosuch=1", "?timeout_ms=x", "?timeout_ms=0", "?a=1&a=2"}) {
    EXPECT_FAULT(open_kv(server_->url() + bad, {}, all_kv_schemes()), Fault::kInvalid) << bad;
  }
}

// One server, several stores: each sees its own records only.
TEST_P(KvServers, StoresUnderPrefixesOfTheirOwn) {
  auto one = open("one");
  auto other = open("on");
  ASSERT_OK(one->put("a", "1"));
  ASSERT_OK(other->put("a", "2"));
  ASSERT_OK(other->put("e", "2"));
  ASSERT_OK(other->truncate());
  EXPECT_EQ(get(*one, "a"), "1");
  EXPECT_EQ(get(*other, "a"), "(none)");
  auto page = one->list("");
  ASSERT_OK(page);
  EXPECT_EQ(page.value().records.size(), 1u);
}

std::vector<ServerEntry> servers() {
  return {{"Redis", [](const string& directory) { return make_redis_server(directory); }},
          {"Etcd", [](const string& directory) { return make_etcd_server(directory); }}};
}

INSTANTIATE_TEST_SUITE_P(All, KvServers, testing::ValuesIn(servers()),
                         [](const auto& entry) { return entry.param.name; });

}  // namespace
}  // namespace casdisk
