#include "cas/kv/hyperv_kv.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "cas/kv/kv_open.h"
#include "cas/os/posix_file_system.h"
#include "tests/support/child_process.h"
#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

using std::string;
using Pairs = std::vector<std::pair<string, string>>;

class HypervKvTest : public testing::Test {
 protected:
  HypervKvTest() : store_(open("safe")) {}
  std::unique_ptr<KvStore> open(const string& limits) {
    auto opened = open_kv("hyperv:guest@" + directory_.path() + "?limits=" + limits, {},
                          embedded_kv_schemes());
    EXPECT_OK(opened);
    return std::move(opened).value();
  }
  // With little patience for locks.
  std::unique_ptr<KvStore> open_hasty() {
    auto backend = HypervKv::open({.pool = 1, .directory = directory_.path()},
                                  {.patience = std::chrono::milliseconds(20)});
    EXPECT_OK(backend);
    return std::make_unique<KvStore>(std::move(backend).value(), HypervKv::kSafeLimits,
                                     HypervKv::kCapabilities, KvStoreSettings{.name = "pool"});
  }
  Pairs dumped() {
    Pairs all;
    EXPECT_OK(store_->dump([&](const KvRecord& record) -> Result<void> {
      all.emplace_back(record.key, record.value.bytes);
      return {};
    }));
    return all;
  }
  void append_bytes(const string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::app) << bytes;
  }
  // A record as any user of the file might write it.
  static string record(const string& key, const string& value) {
    return key + string(512 - key.size(), '\0') + value + string(2048 - value.size(), '\0');
  }
  void set_mtime(time_t seconds) {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
  }
  struct stat status() {
    struct stat status = {};
    EXPECT_EQ(::stat(path_.c_str(), &status), 0);
    return status;
  }

  TemporaryDirectory directory_;
  const string path_ = directory_ / ".kvp_pool_1";
  std::unique_ptr<KvStore> store_;
};

time_t boot_time() {
  std::ifstream file("/proc/stat");
  for (string word; file >> word;) {
    if (word != "btime") continue;
    time_t seconds = 0;
    file >> seconds;
    return seconds;
  }
  return 0;
}

TEST(HypervLocation, NamesNumbersAndDirectories) {
  const auto path = [](const string& text) {
    auto location = parse_hyperv_location(text);
    EXPECT_OK(location) << text;
    return location.ok() ? location.value().path() : "";
  };
  EXPECT_EQ(path("external"), "/var/lib/hyperv/.kvp_pool_0");
  EXPECT_EQ(path("guest"), "/var/lib/hyperv/.kvp_pool_1");
  EXPECT_EQ(path("auto@/a@b"), "/a@b/.kvp_pool_2");
  EXPECT_EQ(path("auto-external@x?limits=safe"), "x/.kvp_pool_3");
  EXPECT_EQ(path("auto-internal"), path("4"));
  for (const char* text : {"", "5", "-1", "01", "Guest", "guests", "guest@", "@/x", "guest?",
                           "guest?limits=", "guest?limits=none", "guest?size=1"}) {
    EXPECT_FAULT(parse_hyperv_location(text), Fault::kInvalid) << text;
  }
  auto location = parse_hyperv_location("0@/d?limits=wire");
  ASSERT_OK(location);
  EXPECT_EQ(location.value().limits, HypervLimits::kWire);
}

TEST_F(HypervKvTest, TheDirectoryMustBeThereAndTheFileIsMadeByTheFirstWrite) {
  for (const string& url : {"hyperv:guest@" + (directory_ / "none"), string("hyperv:nobody")}) {
    auto opened = open_kv(url, {}, embedded_kv_schemes());
    ASSERT_FALSE(opened.ok());
    EXPECT_NE(opened.error().context.find(url), string::npos);
  }
  EXPECT_FAULT(
      open_kv("hyperv:guest@" + directory_.path(), {.may_create = false}, embedded_kv_schemes()),
      Fault::kNotFound);
  EXPECT_OK(store_->get("a"));
  EXPECT_OK(store_->remove("a"));
  EXPECT_OK(store_->truncate());
  EXPECT_OK(store_->load({}));
  EXPECT_OK(store_->append({}));
  EXPECT_FAULT(store_->put("a", "1", {.if_version = 1}), Fault::kUnsupported);
  EXPECT_FAULT(store_->put("a", "1", {.ttl_ms = kMinKvTtlMs}), Fault::kUnsupported);
  KvBatch batch;
  batch.require_exists("a").put("a", "1");
  EXPECT_FAULT(store_->write(batch), Fault::kConflict);
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
  EXPECT_OK(store_->put("a", "1"));
  EXPECT_EQ(status().st_mode & 0777, 0600u);
  EXPECT_OK(open_kv("hyperv:1@" + directory_.path(), {.may_create = false}, embedded_kv_schemes()));
}

TEST_F(HypervKvTest, WhatOthersWroteIsReadAndKept) {
  append_bytes(record("a", "1") + record("\xff\xfe", "not \xc3 text") + record("a", "2"));
  append_bytes(string("b\0old", 5) + string(507, 'x') + string("sh\0GVALUE", 9) +
               string(2039, 'y'));
  append_bytes(string(512, 'k') + string(2048, 'v'));
  ::chmod(path_.c_str(), 0644);
  EXPECT_EQ(dumped(), (Pairs{{"a", "1"},
                             {"\xff\xfe", "not \xc3 text"},
                             {"a", "2"},
                             {"b", "sh"},
                             {string(512, 'k'), string(2048, 'v')}}));
  auto value = store_->get("a");
  ASSERT_OK(value);
  EXPECT_EQ(value.value()->bytes, "2");
  value = store_->get(string(512, 'k'));  // longer than what may be written
  ASSERT_OK(value);
  EXPECT_EQ(value.value()->bytes, string(2048, 'v'));
  EXPECT_OK(store_->put("a", "3"));
  auto removed = store_->remove(string(512, 'k'));
  ASSERT_OK(removed);
  EXPECT_TRUE(removed.value());
  EXPECT_EQ(dumped(), (Pairs{{"a", "3"}, {"\xff\xfe", "not \xc3 text"}, {"b", "sh"}}));
  EXPECT_EQ(status().st_mode & 0777, 0644u);
}

TEST_F(HypervKvTest, ATornTailIsReported) {
  append_bytes(record("a", "1") + string("torn"));
  auto stats = store_->stats();
  ASSERT_OK(stats);
  EXPECT_EQ(stats.value().record_count, 1u);
  EXPECT_EQ(stats.value().used_bytes, 2564u);
  const std::pair<string, string> expected = {"bytes of a torn record", "4"};
  EXPECT_EQ(stats.value().more.back(), expected);
  EXPECT_OK(store_->remove("b"));
  EXPECT_EQ(status().st_size, 2560);
}

TEST_F(HypervKvTest, SafeTextReachesTheHostWholeAndWireTextTheFile) {
  // Each character takes as few bytes as it can for its UTF-16 units: one, two, three, four for
  // two.
  const struct {
    string character;
    size_t units;
  } kinds[] = {{"a", 1}, {"\u00e4", 1}, {"\u65e5", 1}, {"\U0001f600", 2}};
  for (const auto& [character, units] : kinds) {
    string key;
    while (key.size() + character.size() <= HypervKv::kSafeLimits.key_bytes) key += character;
    EXPECT_OK(store_->put(key, "1"));
    EXPECT_LE(key.size() / character.size() * units, 254u);
    EXPECT_FAULT(store_->put(key + "aaaa", "1"), Fault::kTooLarge);
  }
  const auto before = dumped();
  const KvRecord bad[] = {{"a", {"1"}}, {"b", {"\xff"}}};
  EXPECT_FAULT(store_->put("\xff", "1"), Fault::kInvalid);
  EXPECT_FAULT(store_->put("a", "secret\xff"), Fault::kInvalid);
  EXPECT_FAULT(store_->append(bad), Fault::kInvalid);
  EXPECT_FAULT(store_->load(bad), Fault::kInvalid);
  EXPECT_EQ(dumped(), before);
  store_ = open("wire");
  EXPECT_OK(store_->put(string(512, '\xff'), string(2048, '\xff')));
  EXPECT_FAULT(store_->put(string(513, 'k'), ""), Fault::kTooLarge);
  EXPECT_FAULT(store_->put("k", string(2049, 'v')), Fault::kTooLarge);
}

TEST_F(HypervKvTest, StaleIsWhatWasWrittenBeforeTheSecondOfTheBoot) {
  const time_t booted = boot_time();
  ASSERT_GT(booted, 0);
  const auto is_stale = [&] {
    auto outcome = store_->is_stale();
    EXPECT_OK(outcome);
    return outcome.ok() && outcome.value();
  };
  EXPECT_FALSE(is_stale());
  EXPECT_OK(store_->put("a", "1"));
  EXPECT_FALSE(is_stale());
  set_mtime(booted);
  EXPECT_FALSE(is_stale());
  auto truncated = store_->truncate_if_stale();
  ASSERT_OK(truncated);
  EXPECT_FALSE(truncated.value());
  EXPECT_EQ(dumped().size(), 1u);
  set_mtime(booted - 1);
  EXPECT_TRUE(is_stale());
  EXPECT_EQ(dumped().size(), 1u);  // it is the caller who decides
  truncated = store_->truncate_if_stale();
  ASSERT_OK(truncated);
  EXPECT_TRUE(truncated.value());
  EXPECT_TRUE(dumped().empty());
  EXPECT_FALSE(is_stale());
}

TEST_F(HypervKvTest, AppendsEndAtABoundOfTheFile) {
  {
    std::ofstream file(path_, std::ios::binary);
    for (uint64_t slot = 0; slot < kMaxHypervRecords; slot++) {
      file.seekp(std::streamoff(slot * kHypervRecordBytes));
      file << 'k';
    }
  }
  ASSERT_EQ(::truncate(path_.c_str(), off_t(kMaxHypervRecords * kHypervRecordBytes)), 0);
  const KvRecord one{"b", {"1"}};
  auto refused = store_->append({&one, 1});
  EXPECT_FAULT(refused, Fault::kLimit);
  EXPECT_EQ(refused.error().max, kMaxHypervRecords);
  EXPECT_NE(refused.error().context.find("truncate"), string::npos);
  // Of a file that others made longer than that, the advice can be followed.
  append_bytes(record("last", "1"));
  auto dumped_all = store_->dump([](const KvRecord&) { return Result<void>(); });
  for (const auto& [what, error] : {std::pair("append", store_->append({&one, 1}).error()),
                                    std::pair("dump", dumped_all.error())}) {
    EXPECT_EQ(error.fault, Fault::kLimit) << what;
    EXPECT_NE(error.context.find(" records, "), string::npos) << what << error.context;
    EXPECT_NE(error.context.find("read by get and list alone"), string::npos) << what;
  }
  auto value = store_->get("last");
  ASSERT_OK(value);
  EXPECT_TRUE(value.value());
  EXPECT_OK(store_->list(""));
  EXPECT_OK(store_->truncate());
  EXPECT_TRUE(dumped().empty());
  ASSERT_OK(store_->put("k", "1"));
  EXPECT_OK(store_->append({&one, 1}));
  EXPECT_EQ(dumped(), (Pairs{{"k", "1"}, {"b", "1"}}));
}

// --- Locks: another process, as other users of the file take them.

class OtherHolder {
 public:
  OtherHolder(const string& path, const std::function<bool(int)>& lock)
      : child_([&] {
          const int descriptor = ::open(path.c_str(), O_RDWR);
          if (descriptor < 0 || !lock(descriptor)) return false;
          const char ready = 'r';
          if (::write(pipe_.ends[1], &ready, 1) != 1) return false;
          for (;;) ::pause();
        }) {
    char ready = 0;
    ::close(pipe_.ends[1]);
    EXPECT_EQ(::read(pipe_.ends[0], &ready, 1), 1);
    ::close(pipe_.ends[0]);
  }
  void end() { child_.kill(); }

 private:
  struct Pipe {
    Pipe() { EXPECT_EQ(::pipe(ends), 0); }
    int ends[2];
  };
  Pipe pipe_;
  ChildProcess child_;
};

bool lock_as_daemon(int descriptor, short type) {  // hv_kvp_daemon: POSIX, the whole file
  struct flock whole = {};
  whole.l_type = type;
  whole.l_whence = SEEK_SET;
  return ::fcntl(descriptor, F_SETLK, &whole) == 0;
}

TEST_F(HypervKvTest, OneLockOfTheTwoIsEnoughToKeepItOut) {
  EXPECT_OK(store_->put("a", "1"));
  const std::function<bool(int)> exclusive[] = {
      [](int descriptor) { return ::flock(descriptor, LOCK_EX) == 0; },
      [](int descriptor) { return lock_as_daemon(descriptor, F_WRLCK); },
  };
  const auto hasty = open_hasty();
  for (const auto& lock : exclusive) {
    OtherHolder other(path_, lock);
    auto refused = hasty->get("a");
    EXPECT_FAULT(refused, Fault::kBusy);
    EXPECT_NE(refused.error().context.find(path_), string::npos);
    EXPECT_FAULT(hasty->put("a", "2"), Fault::kBusy);
    EXPECT_FAULT(hasty->truncate(), Fault::kBusy);
    other.end();
    EXPECT_OK(hasty->get("a"));
  }
  EXPECT_EQ(dumped(), (Pairs{{"a", "1"}}));
}

TEST_F(HypervKvTest, ReadersShareAndKeepWritersOut) {
  EXPECT_OK(store_->put("a", "1"));
  const auto hasty = open_hasty();
  OtherHolder reader(path_, [](int descriptor) {
    return ::flock(descriptor, LOCK_SH) == 0 && lock_as_daemon(descriptor, F_RDLCK);
  });
  EXPECT_OK(hasty->get("a"));
  EXPECT_FAULT(hasty->put("a", "2"), Fault::kBusy);
}

TEST_F(HypervKvTest, AFailureToTakeTheSecondLockGivesTheFirstBack) {
  EXPECT_OK(store_->put("a", "1"));
  OtherHolder daemon(path_, [](int descriptor) { return lock_as_daemon(descriptor, F_WRLCK); });
  auto directory = PosixDirectory::open_path(directory_.path());
  ASSERT_OK(directory);
  auto file = directory.value()->open(".kvp_pool_1", OpenMode::kWrite);
  ASSERT_OK(file);
  EXPECT_FAULT(lock_hyperv_pool(*file.value(), HypervLock::kExclusive, {}), Fault::kBusy);
  const int other = ::open(path_.c_str(), O_RDWR);  // while the first is open still
  EXPECT_EQ(::flock(other, LOCK_EX | LOCK_NB), 0);
  ::close(other);
}

TEST_F(HypervKvTest, AWaitEndsWithTheLock) {
  EXPECT_OK(store_->put("a", "1"));
  OtherHolder other(path_, [](int descriptor) { return ::flock(descriptor, LOCK_EX) == 0; });
  ChildProcess waiting([&] { return store_->put("a", "2").ok(); });
  other.end();
  EXPECT_TRUE(waiting.succeeded());
  EXPECT_EQ(dumped(), (Pairs{{"a", "2"}}));
}

TEST_F(HypervKvTest, AFileThatIsReplacedIsNotWrittenTo) {
  EXPECT_OK(store_->put("a", "1"));
  const string old = directory_ / "old";
  ASSERT_EQ(::rename(path_.c_str(), old.c_str()), 0);
  EXPECT_OK(store_->put("b", "1"));
  EXPECT_EQ(dumped(), (Pairs{{"b", "1"}}));
}

// Two processes append batches: none is torn, none lies within another.
TEST_F(HypervKvTest, BatchesOfTwoProcessesDoNotMingle) {
  constexpr int kBatches = 20;
  constexpr int kEach = 10;
  const auto append_all = [&](const string& me) {
    for (int i = 0; i < kBatches; i++) {
      std::vector<KvRecord> batch;
      for (int j = 0; j < kEach; j++) batch.push_back({me, {std::to_string(i)}});
      if (!store_->append(batch).ok()) return false;
    }
    return true;
  };
  ChildProcess one([&] { return append_all("one"); });
  ChildProcess two([&] { return append_all("two"); });
  EXPECT_TRUE(one.succeeded());
  EXPECT_TRUE(two.succeeded());
  const Pairs all = dumped();
  ASSERT_EQ(all.size(), size_t(2 * kBatches * kEach));
  for (size_t i = 0; i < all.size(); i++) EXPECT_EQ(all[i], all[i - i % kEach]);
}

}  // namespace
}  // namespace casdisk
