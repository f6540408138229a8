#include "cas/kv/lmdb_kv.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "cas/kv/kv_open.h"
#include "tests/support/child_process.h"
#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

using std::string;

std::unique_ptr<KvStore> open(const string& directory, uint64_t capacity_bytes = 64 << 20) {
  auto opened =
      open_kv("lmdb:" + directory, {.capacity_bytes = capacity_bytes}, embedded_kv_schemes());
  EXPECT_OK(opened);
  return opened.ok() ? std::move(opened).value() : nullptr;
}

string get(KvStore& store, std::string_view key) {
  auto value = store.get(key);
  EXPECT_OK(value);
  return value.ok() && value.value() ? value.value()->bytes : "(none)";
}

uint64_t file_bytes(const string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 ? uint64_t(status.st_size) : 0;
}

TEST(LmdbKv, WhatCannotBeOpenedSaysSo) {
  TemporaryDirectory directory;
  auto opened = open_kv("lmdb:" + directory / "none" + "/below", {}, embedded_kv_schemes());
  ASSERT_FAULT(opened, Fault::kNotFound);
  EXPECT_NE(opened.error().context.find("none/below"), string::npos);
  EXPECT_NE(opened.error().context.find("the directory above it must exist"), string::npos);
  EXPECT_FAULT(open_kv("lmdb:", {}, embedded_kv_schemes()), Fault::kInvalid);
  // A misspelt path is not made.
  const string path = directory / "misspelt";
  EXPECT_FAULT(open_kv("lmdb:" + path, {.may_create = false}, embedded_kv_schemes()),
               Fault::kNotFound);
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
  open(path);
  EXPECT_OK(open_kv("lmdb:" + path, {.may_create = false}, embedded_kv_schemes()));
}

TEST(LmdbKv, AnEnvironmentOfSomethingElseIsLeftAlone) {
  TemporaryDirectory directory;
  auto environment = LmdbEnvironment::open(directory.path(), {});
  ASSERT_OK(environment);
  for (const char* key : {"records", "zzz"}) {
    ASSERT_OK(environment.value()->update([&](LmdbWriter& writer) {
      return writer.put(as_bytes(key), as_bytes("a value of its own"));
    }));
    environment.value().reset();
    EXPECT_FAULT(open_kv("lmdb:" + directory.path(), {}, embedded_kv_schemes()), Fault::kInvalid);
    environment = LmdbEnvironment::open(directory.path(), {});
    ASSERT_OK(environment);
    ASSERT_OK(environment.value()->view([&](LmdbReader& reader) -> Result<void> {
      TRY_ASSIGN(const auto value, reader.get(as_bytes(key)));
      EXPECT_TRUE(value);
      TRY_ASSIGN(const uint64_t count, reader.count());
      EXPECT_EQ(count, 1u);
      return {};
    }));
    ASSERT_OK(environment.value()->update([&](LmdbWriter& writer) { return writer.clear(); }));
  }
}

// An empty environment may be one that somebody else is about to fill.
TEST(LmdbKv, WhereNothingMayBeMadeAnEmptyEnvironmentStaysEmpty) {
  TemporaryDirectory directory;
  ASSERT_OK(LmdbEnvironment::open(directory.path(), {}));
  const KvOpenOptions options{.may_create = false};
  EXPECT_FAULT(open_kv("lmdb:" + directory.path(), options, embedded_kv_schemes()),
               Fault::kInvalid);
  auto environment = LmdbEnvironment::open(directory.path(), {});
  ASSERT_OK(environment);
  ASSERT_OK(environment.value()->view([](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(const uint64_t count, reader.count());
    EXPECT_EQ(count, 0u);
    return {};
  }));
  environment.value().reset();
  ASSERT_OK(open_kv("lmdb:" + directory.path(), {}, embedded_kv_schemes()));
  ASSERT_OK(open_kv("lmdb:" + directory.path(), options, embedded_kv_schemes()));
}

TEST(LmdbKv, AFullMapLosesNothing) {
  TemporaryDirectory directory;
  auto store = open(directory.path(), 4 << 20);
  int written = 0;
  for (;; written++) {
    KvBatch batch;
    for (int i = 0; i < 4; i++) {
      batch.put("k" + std::to_string(written) + "/" + std::to_string(i), string(20'000, 'v'));
    }
    auto done = store->write(batch);
    if (done.ok()) continue;
    EXPECT_FAULT(done, Fault::kNoSpace);
    break;
  }
  ASSERT_GT(written, 10);
  store.reset();
  store = open(directory.path(), 4 << 20);
  auto stats = store->stats();
  ASSERT_OK(stats);
  EXPECT_EQ(stats.value().record_count, uint64_t(written) * 4);
  // What is smaller still fits, and what was removed gives room.
  ASSERT_OK(store->put("small", "1"));
  ASSERT_OK(store->truncate());
  for (int i = 0; i < 2; i++) ASSERT_OK(store->put("small", "1"));  // freed pages rest for a commit
  ASSERT_OK(store->put("large", string(1 << 20, 'v')));
}

// It is as large as it may be, without a free page: whoever comes to remove is let.
TEST(LmdbKv, AFullStoreCanBeEmptied) {
  for (const bool removes_all : {false, true}) {
    TemporaryDirectory directory;
    constexpr uint64_t kCapacityBytes = 4 << 20;
    auto store = open(directory.path(), kCapacityBytes);
    int count = 0;
    for (size_t bytes : {20'000, 1000, 10}) {
      while (store->put("k" + std::to_string(count), string(bytes, 'v')).ok()) count++;
    }
    ASSERT_GT(count, 150);
    store.reset();
    auto opened =
        open_kv("lmdb:" + directory.path(),
                {.capacity_bytes = kCapacityBytes, .is_to_remove = true}, embedded_kv_schemes());
    ASSERT_OK(opened);
    if (removes_all) {
      ASSERT_OK(opened.value()->truncate());
    } else {
      for (int i = 0; i < count; i++) ASSERT_OK(opened.value()->remove("k" + std::to_string(i)));
    }
    opened.value().reset();
    store = open(directory.path(), kCapacityBytes);
    for (int i = 0; i < 20; i++) ASSERT_OK(store->put(std::to_string(i), string(20'000, 'v')));
  }
}

// Writes with a TTL remove what has expired, a little each, wherever it is.
TEST(LmdbKv, WritesSweepAlong) {
  TemporaryDirectory directory;
  uint64_t now_ms = 1'700'000'000'000;
  const auto open_at = [&] {
    auto opened = open_kv("lmdb:" + directory.path(), {.clock = [&] { return now_ms; }},
                          embedded_kv_schemes());
    EXPECT_OK(opened);
    return std::move(opened).value();
  };
  const auto count = [](KvStore& store) {
    auto stats = store.stats();
    EXPECT_OK(stats);
    return stats.ok() ? stats.value().record_count : 0;
  };
  auto store = open_at();
  for (int i = 0; i < 100; i++) {
    const string key = std::to_string(1000 + i);
    ASSERT_OK(store->put(key, "1", {.ttl_ms = i % 2 == 0 ? 0 : kMinKvTtlMs}));
  }
  now_ms += kMinKvTtlMs;
  ASSERT_OK(store->put("lasting", "1"));
  EXPECT_EQ(count(*store), 101u);  // what does not expire sweeps nothing
  ASSERT_OK(store->put("a", "1", {.ttl_ms = kMinKvTtlMs}));
  EXPECT_LT(count(*store), 102u);
  EXPECT_GE(count(*store), 102u - 16);
  for (int i = 0; i < 15; i++) ASSERT_OK(store->put("a", "1", {.ttl_ms = kMinKvTtlMs}));
  EXPECT_EQ(count(*store), 52u);
  EXPECT_EQ(get(*store, "1000") + get(*store, "1098") + get(*store, "a"), "111");
  // Processes that write once each.
  ASSERT_OK(store->put("1001", "1", {.ttl_ms = kMinKvTtlMs}));
  now_ms += kMinKvTtlMs;
  store.reset();
  store = open_at();
  ASSERT_OK(store->put("1000/new", "1", {.ttl_ms = kMinKvTtlMs}));
  ASSERT_OK(store->dump([](const KvRecord& record) -> Result<void> {
    EXPECT_NE(record.key, "1001");
    return {};
  }));
}

// A file that must not grow, as on a full file system: what was acknowledged is there, and the
// store goes on.
TEST(LmdbKv, AFullDiskLosesNothing) {
  TemporaryDirectory directory;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  ChildProcess writer([&] {
    const rlimit limit{3 << 20, 3 << 20};
    ::signal(SIGXFSZ, SIG_IGN);
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    auto store = open(directory.path());
    int written = 0;
    for (;; written++) {
      KvBatch batch;
      batch.put("a" + std::to_string(written), string(20'000, 'v'));
      batch.put("b" + std::to_string(written), string(20'000, 'v'));
      auto done = store->write(batch);
      if (done.ok()) continue;
      // LMDB calls a write that is cut short EIO, and here the file system has room.
      if (done.error().fault != Fault::kNoSpace && done.error().fault != Fault::kIo) return false;
      break;
    }
    // It can still be read, and what was freed be written to.
    const bool goes_on = get(*store, "a0") == string(20'000, 'v') && store->remove("a0").ok() &&
                         store->put("c", "1").ok() && store->put("d", "1").ok();
    return goes_on && ::write(pipe[1], &written, sizeof written) == sizeof written;
  });
  ASSERT_TRUE(writer.succeeded());
  int written = 0;
  ASSERT_EQ(::read(pipe[0], &written, sizeof written), ssize_t(sizeof written));
  ASSERT_GT(written, 10);
  auto store = open(directory.path());
  auto stats = store->stats();
  ASSERT_OK(stats);
  EXPECT_EQ(stats.value().record_count, uint64_t(written) * 2 + 1);
  EXPECT_EQ(get(*store, "b" + std::to_string(written - 1)), string(20'000, 'v'));
  EXPECT_EQ(get(*store, "c"), "1");
  ::close(pipe[0]);
  ::close(pipe[1]);
}

// Of a group that commits together, one that is too much for the space fails alone.
TEST(LmdbKv, OneThatDoesNotFitFailsAlone) {
  TemporaryDirectory directory;
  auto store = open(directory.path(), 8 << 20);
  std::vector<std::thread> threads;
  for (int me = 0; me < 8; me++) {
    threads.emplace_back([&, me] {
      for (int i = 0; i < 20; i++) {
        if (me == 0) {
          EXPECT_FAULT(store->put("large", string(9 << 20, 'v')), Fault::kNoSpace);
        } else {
          EXPECT_OK(store->put(std::to_string(me) + "/" + std::to_string(i), "1"));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(get(*store, "large"), "(none)");
  auto stats = store->stats();
  ASSERT_OK(stats);
  EXPECT_EQ(stats.value().record_count, 140u);
}

TEST(LmdbKv, CompactingGivesRoomBackToTheFileSystem) {
  TemporaryDirectory directory;
  auto store = open(directory.path());
  for (int i = 0; i < 100; i++) ASSERT_OK(store->put(std::to_string(i), string(100'000, 'v')));
  for (int i = 1; i < 100; i++) ASSERT_OK(store->remove(std::to_string(i)));
  const uint64_t before_bytes = file_bytes(directory / "data.mdb");
  ASSERT_OK(store->compact());
  EXPECT_LT(file_bytes(directory / "data.mdb"), before_bytes / 20);
  EXPECT_EQ(get(*store, "0"), string(100'000, 'v'));
  EXPECT_EQ(get(*store, "1"), "(none)");
  EXPECT_NE(::access((directory / "data.mdb.new").c_str(), F_OK), 0);
}

TEST(LmdbKv, CompactingWaitsForNobodyElse) {
  TemporaryDirectory directory;
  int to_child[2];
  int from_child[2];
  ASSERT_EQ(::pipe(to_child), 0);
  ASSERT_EQ(::pipe(from_child), 0);
  char byte = 0;
  ChildProcess other([&] {
    auto store = open(directory.path());
    if (!store->put("a", "1").ok() || ::write(from_child[1], "x", 1) != 1) return false;
    return ::read(to_child[0], &byte, 1) == 1 && store->put("b", "1").ok();
  });
  ASSERT_EQ(::read(from_child[0], &byte, 1), 1);
  auto store = open(directory.path());
  EXPECT_FAULT(store->compact(), Fault::kBusy);
  ASSERT_OK(store->put("c", "1"));
  ASSERT_EQ(::write(to_child[1], "x", 1), 1);
  EXPECT_TRUE(other.succeeded());
  ASSERT_OK(store->compact());
  EXPECT_EQ(get(*store, "a") + get(*store, "b") + get(*store, "c"), "111");
  for (const int descriptor : {to_child[0], to_child[1], from_child[0], from_child[1]}) {
    ::close(descriptor);
  }
}

TEST(LmdbKv, ThreadsGoOnAfterACompaction) {
  TemporaryDirectory directory;
  auto store = open(directory.path());
  ASSERT_OK(store->put("lasting", "1"));
  std::atomic<bool> is_over = false;
  std::vector<std::thread> threads;
  std::atomic<int> written[3] = {};
  for (int me = 0; me < 3; me++) {
    threads.emplace_back([&, me] {
      for (; !is_over; written[me]++) {
        ASSERT_OK(store->put(std::to_string(me), std::to_string(written[me] + 1)));
        EXPECT_EQ(get(*store, "lasting"), "1");
        auto page = store->list("");
        ASSERT_OK(page);
      }
    });
  }
  for (int i = 0; i < 20; i++) EXPECT_OK(store->compact());
  is_over = true;
  for (std::thread& thread : threads) thread.join();
  for (int me = 0; me < 3; me++) {
    EXPECT_EQ(get(*store, std::to_string(me)), std::to_string(written[me]));
  }
}

// Another process that opens the store while it is compacted sees the whole of it.
TEST(LmdbKv, OpeningMeetsACompaction) {
  TemporaryDirectory directory;
  {
    auto store = open(directory.path());
    for (int i = 0; i < 50; i++) ASSERT_OK(store->put("k" + std::to_string(i), "1"));
  }
  ChildProcess opener([&] {
    for (int i = 0; i < 100; i++) {
      auto store = open(directory.path());
      if (!store || get(*store, "k49") != "1") return false;
      if (!store->put("n" + std::to_string(i), "1").ok()) return false;
    }
    return true;
  });
  int compacted_count = 0;
  for (int i = 0; i < 100; i++) {
    auto store = open(directory.path());
    auto done = store->compact();
    compacted_count += done.ok() ? 1 : 0;
    if (!done.ok()) {
      EXPECT_FAULT(done, Fault::kBusy);
    }
    EXPECT_EQ(get(*store, "k49"), "1");
  }
  EXPECT_TRUE(opener.succeeded());
  auto store = open(directory.path());
  for (int i = 0; i < 100; i++) EXPECT_EQ(get(*store, "n" + std::to_string(i)), "1");
  EXPECT_OK(store->compact());
  EXPECT_GT(compacted_count, 0);
}

// Killed at any moment of writing and compacting, it opens and holds what it acknowledged.
TEST(LmdbKv, AKilledCompactionLosesNothing) {
  TemporaryDirectory directory;
  {
    auto store = open(directory.path());
    for (int i = 0; i < 200; i++) ASSERT_OK(store->put("k" + std::to_string(i), string(5000, 'v')));
  }
  int last = -1;
  for (int round = 0; round < 15; round++) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    ChildProcess writer([&] {
      auto store = open(directory.path());
      for (int i = last + 1;; i++) {
        if (!store->put("n", std::to_string(i)).ok() || !store->compact().ok()) return false;
        if (::write(pipe[1], &i, sizeof i) != sizeof i) return false;
      }
    });
    ::close(pipe[1]);
    const int enough = last + 3;
    while (last < enough && ::read(pipe[0], &last, sizeof last) == sizeof last) {
    }
    std::this_thread::sleep_for(std::chrono::microseconds(round * 300));  // any moment will do
    writer.kill();
    while (::read(pipe[0], &last, sizeof last) == sizeof last) {
    }
    ::close(pipe[0]);
    ASSERT_GE(last, enough);
    auto store = open(directory.path());
    const int now = std::stoi(get(*store, "n"));
    EXPECT_TRUE(now == last || now == last + 1) << now << ", acknowledged " << last;
    auto stats = store->stats();
    ASSERT_OK(stats);
    EXPECT_EQ(stats.value().record_count, 201u);
  }
}

string bytes_of(const string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The power goes while a commit is written: any of its pages may be there, and not yet the one that
// makes them count, which is written last of all and alone.
TEST(LmdbKv, ATornLastCommitIsNone) {
  TemporaryDirectory directory;
  ASSERT_EQ(::mkdir((directory / "store").c_str(), 0700), 0);
  const string data_file = directory / "store/data.mdb";
  for (int i = 0; i < 30; i++) {
    ASSERT_OK(open(directory / "store")->put("k" + std::to_string(i), string(300, 'v')));
  }
  const string before = bytes_of(data_file);
  ASSERT_OK(open(directory / "store")->put("last", string(9000, 'l')));
  const string after = bytes_of(data_file);

  const auto page_bytes = size_t(::sysconf(_SC_PAGESIZE));
  std::vector<size_t> changed;
  for (size_t at = 2 * page_bytes; at < after.size(); at += page_bytes) {
    const bool is_new = at >= before.size();
    if (is_new || before.compare(at, page_bytes, after, at, page_bytes) != 0) changed.push_back(at);
  }
  ASSERT_GT(changed.size(), 3u);
  const auto expect_last = [&](const string& data, const string& last) {
    TemporaryDirectory torn;
    std::ofstream(torn / "data.mdb", std::ios::binary) << data;
    auto store = open(torn.path());
    ASSERT_NE(store, nullptr);
    for (int i = 0; i < 30; i++) EXPECT_EQ(get(*store, "k" + std::to_string(i)), string(300, 'v'));
    EXPECT_EQ(get(*store, "last"), last);
    EXPECT_OK(store->put("last", "2"));
    EXPECT_EQ(get(*store, "last"), "2");
  };
  for (size_t left_out = 0; left_out <= changed.size(); left_out++) {
    string torn = before;
    for (size_t i = 0; i < changed.size(); i++) {
      if (i == left_out) continue;
      torn.resize(std::max(torn.size(), changed[i] + page_bytes));
      torn.replace(changed[i], page_bytes, after, changed[i], page_bytes);
    }
    expect_last(torn, "(none)");
  }
  expect_last(before, "(none)");
  expect_last(after, string(9000, 'l'));
}

// Without syncs a killed process still loses nothing that it acknowledged.
TEST(LmdbKv, WithoutSyncsAProcessMayDie) {
  TemporaryDirectory directory;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const KvOpenOptions options{.durability = KvDurability::kProcess};
  ChildProcess writer([&] {
    auto opened = open_kv("lmdb:" + directory.path(), options, embedded_kv_schemes());
    for (int i = 0; opened.ok(); i++) {
      if (!opened.value()->put("n", std::to_string(i)).ok()) return false;
      if (::write(pipe[1], &i, sizeof i) != sizeof i) return false;
    }
    return false;
  });
  ::close(pipe[1]);
  int last = -1;
  while (last < 200 && ::read(pipe[0], &last, sizeof last) == sizeof last) {
  }
  writer.kill();
  while (::read(pipe[0], &last, sizeof last) == sizeof last) {
  }
  ::close(pipe[0]);
  ASSERT_GE(last, 200);
  auto store = open(directory.path());
  const int now = std::stoi(get(*store, "n"));
  EXPECT_TRUE(now == last || now == last + 1) << now << ", acknowledged " << last;
}

TEST(LmdbKv, ASnapshotThatFailsLeavesNothing) {
  TemporaryDirectory directory;
  auto store = open(directory / "store");
  EXPECT_FAULT(store->snapshot(directory / "none" + "/copy"), Fault::kNotFound);
  EXPECT_FAULT(store->snapshot(directory / "store"), Fault::kExists);
  EXPECT_OK(store->put("a", "1"));
}

}  // namespace
}  // namespace casdisk
