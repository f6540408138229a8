#include "cas/kv/rocksdb_kv.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>

#include "cas/kv/kv_open.h"
#include "tests/support/child_process.h"
#include "tests/support/result_assertions.h"
#include "tests/support/small_file_system.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

namespace fs = std::filesystem;
using std::string;

std::unique_ptr<KvStore> open(const string& directory, const KvOpenOptions& options = {}) {
  auto opened = open_kv("rocksdb:" + directory, options, embedded_kv_schemes());
  EXPECT_OK(opened);
  return opened.ok() ? std::move(opened).value() : nullptr;
}

string get(KvStore& store, std::string_view key) {
  auto value = store.get(key);
  EXPECT_OK(value);
  return value.ok() && value.value() ? value.value()->bytes : "(none)";
}

std::vector<string> dumped_keys(KvStore& store) {
  std::vector<string> keys;
  EXPECT_OK(store.dump([&](const KvRecord& record) -> Result<void> {
    keys.push_back(record.key);
    return {};
  }));
  return keys;
}

// Bytes by name, of those that end so.
std::map<string, uint64_t> files_of(const string& directory, const string& suffix) {
  std::map<string, uint64_t> files;
  for (const auto& file : fs::directory_iterator(directory)) {
    if (file.path().extension() == suffix) files[file.path().filename()] = file.file_size();
  }
  return files;
}

// Of an open one too, whose threads remove files meanwhile that it needs no more.
void copy_store(const string& from, const string& to) {
  fs::remove_all(to);
  fs::create_directory(to);
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    std::error_code failure;
    fs::copy(entry, fs::path(to) / entry.path().filename(), failure);
    EXPECT_TRUE(!failure || failure == std::errc::no_such_file_or_directory) << entry;
  }
}

// As a user who may have so many threads, the first one included.
bool opens_with_threads(const string& directory, rlim_t most) {
  static constexpr uid_t kNobody = 64993;  // a user with no processes of others
  const rlimit limit{most, most};
  if (::setrlimit(RLIMIT_NPROC, &limit) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0) {
    return false;
  }
  auto opened = open_kv("rocksdb:" + directory, {}, embedded_kv_schemes());
  if (opened.ok()) return get(*opened.value(), "k2") == "2";
  const Error& error = opened.error();
  return error.fault == Fault::kIo && error.os_error == EAGAIN &&
         error.context.find(directory) != string::npos;
}

TEST(RocksDbKv, WithoutThreadsItOpensOrSaysSo) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root";
  TemporaryDirectory directory;
  for (int i = 0; i < 3; i++) {  // a table file each
    auto store = open(directory / "kv");
    ASSERT_OK(store->put("k" + std::to_string(i), std::to_string(i)));
    ASSERT_OK(store->put("large", string(5 << 20, char('a' + i))));
  }
  ASSERT_EQ(std::system(("chmod -R a+rwX " + directory.path()).c_str()), 0);
  for (rlim_t most = 1; most < 8; most++) {
    ChildProcess child([&] { return opens_with_threads(directory / "kv", most); });
    EXPECT_TRUE(child.succeeded()) << most;
  }
}

TEST(RocksDbKv, WhatCannotBeOpenedSaysSo) {
  TemporaryDirectory directory;
  auto opened = open_kv("rocksdb:" + directory / "none" + "/below", {}, embedded_kv_schemes());
  ASSERT_FAULT(opened, Fault::kNotFound);
  EXPECT_NE(opened.error().context.find("none/below"), string::npos);
  EXPECT_NE(opened.error().context.find("the directory above it must exist"), string::npos);
  EXPECT_FAULT(open_kv("rocksdb:", {}, embedded_kv_schemes()), Fault::kInvalid);
  // A misspelt path is not made.
  const string path = directory / "misspelt";
  EXPECT_FAULT(open_kv("rocksdb:" + path, {.may_create = false}, embedded_kv_schemes()),
               Fault::kNotFound);
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
  open(path);
  EXPECT_OK(open_kv("rocksdb:" + path, {.may_create = false}, embedded_kv_schemes()));
}

TEST(RocksDbKv, ADirectoryOfSomethingElseIsLeftAlone) {
  TemporaryDirectory directory;
  std::ofstream(directory / "a letter") << "dear";
  auto opened = open_kv("rocksdb:" + directory.path(), {}, embedded_kv_schemes());
  ASSERT_FAULT(opened, Fault::kInvalid);
  EXPECT_NE(opened.error().context.find("something else"), string::npos);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
}

TEST(RocksDbKv, DamageNamesTheRemedy) {
  TemporaryDirectory directory;
  const string path = directory / "store";
  {
    auto store = open(path);
    for (int i = 0; i < 2000; i++) {
      ASSERT_OK(store->put("k" + std::to_string(i), std::to_string(i * 7919)));
    }
    ASSERT_OK(store->compact());
  }
  const auto expect_refused = [&](const char* what) {
    auto opened = open_kv("rocksdb:" + directory / "copy", {}, embedded_kv_schemes());
    ASSERT_FAULT(opened, Fault::kDamaged) << what;
    EXPECT_NE(opened.error().context.find("restore it from a snapshot"), string::npos) << what;
  };
  copy_store(path, directory / "copy");
  std::ofstream(directory / "copy" + "/CURRENT") << "nonsense";
  expect_refused("no database");
  copy_store(path, directory / "copy");
  std::ofstream(directory / "copy" + "/CURRENT") << "MANIFEST-999999\n";
  expect_refused("a file that is gone");

  // A table whose blocks were changed: what is read is right, or damaged.
  copy_store(path, directory / "copy");
  const auto tables = files_of(directory / "copy", ".sst");
  const auto& [name, bytes] =
      *std::ranges::max_element(tables, {}, [](const auto& table) { return table.second; });
  std::fstream table(directory / "copy" + "/" + name,
                     std::ios::in | std::ios::out | std::ios::binary);
  for (uint64_t at = 100; at < bytes / 2; at += 3000) {
    table.seekp(std::streamoff(at));
    table.put('\x55').put('\xaa');
  }
  table.close();
  auto store = open(directory / "copy");
  int damaged_count = 0;
  for (int i = 0; i < 2000; i++) {
    auto value = store->get("k" + std::to_string(i));
    if (!value.ok()) {
      damaged_count++;
      ASSERT_FAULT(value, Fault::kDamaged);
      EXPECT_NE(value.error().context.find("restore it from a snapshot"), string::npos);
    } else {
      ASSERT_TRUE(value.value());
      EXPECT_EQ(value.value()->bytes, std::to_string(i * 7919));
    }
  }
  EXPECT_GT(damaged_count, 0);
}

TEST(RocksDbKv, ASecondOneIsRefusedAndToldWhoHasIt) {
  TemporaryDirectory directory;
  auto store = open(directory / "store");
  ASSERT_OK(store->put("a", "1"));
  const string me = std::to_string(::getpid());
  const auto is_refused = [&] {
    auto second = open_kv("rocksdb:" + directory / "store", {}, embedded_kv_schemes());
    return !second.ok() && second.error().fault == Fault::kBusy &&
           second.error().context.find("held by pid " + me) != string::npos &&
           second.error().context.find("lmdb:") != string::npos;
  };
  EXPECT_TRUE(is_refused());
  ChildProcess other(is_refused);
  EXPECT_TRUE(other.succeeded());
  ASSERT_OK(store->put("a", "2"));
  store.reset();
  ChildProcess next([&] { return get(*open(directory / "store"), "a") == "2"; });
  EXPECT_TRUE(next.succeeded());
}

// A child has the store in its memory; what it wrote would be written twice.
TEST(RocksDbKv, OneThatWasOpenedBeforeAForkIsNotWrittenByTheChild) {
  TemporaryDirectory directory;
  auto store = open(directory / "store");
  ASSERT_OK(store->put("a", "1"));
  ChildProcess child([&] {
    auto refused = store->put("a", "2");
    const bool is_refused = !refused.ok() && refused.error().fault == Fault::kInvalid &&
                            refused.error().context.find("fork") != string::npos;
    const bool are_refused = is_refused && !store->compact().ok() && !store->truncate().ok();
    store.reset();  // without waiting for threads that it does not have
    return are_refused;
  });
  EXPECT_TRUE(child.succeeded());
  ASSERT_OK(store->put("b", "1"));
  EXPECT_OK(store->compact());
  EXPECT_EQ(get(*store, "a") + get(*store, "b"), "11");
}

TEST(RocksDbKv, ACompactionLeavesOutWhatExpiredAndNothingElse) {
  TemporaryDirectory directory;
  std::atomic<uint64_t> now_ms = 1'700'000'000'000;
  const KvOpenOptions options{.clock = [&] { return now_ms.load(); }};
  auto store = open(directory / "store", options);
  for (const char* key : {"older below", "made anew"}) ASSERT_OK(store->put(key, "old"));
  ASSERT_OK(store->compact());  // into the last level
  const uint64_t ttl_ms = kMinKvTtlMs;
  for (const char* key : {"older below", "made anew", "alone"}) {
    ASSERT_OK(store->put(key, "new", {.ttl_ms = ttl_ms}));
  }
  ASSERT_OK(store->put("longer", "1", {.ttl_ms = 2 * ttl_ms}));
  ASSERT_OK(store->put("lasting", "1"));
  now_ms += ttl_ms;
  ASSERT_OK(store->put("made anew", "newest"));
  ASSERT_OK(store->compact());
  EXPECT_EQ(dumped_keys(*store), (std::vector<string>{"lasting", "longer", "made anew"}));
  EXPECT_EQ(get(*store, "made anew"), "newest");
  // Nor does anything come back when the clock is set back, or from below.
  now_ms -= ttl_ms;
  EXPECT_EQ(get(*store, "older below") + get(*store, "alone"), "(none)(none)");
  store = nullptr;
  store = open(directory / "store", options);
  ASSERT_OK(store->compact());
  EXPECT_EQ(get(*store, "older below") + get(*store, "made anew"), "(none)newest");
  auto swept = store->sweep();
  ASSERT_OK(swept);
  EXPECT_EQ(swept.value(), 0u);
}

// What the store keeps about itself is compacted too, and is nobody's garbage.
TEST(RocksDbKv, ManyLoadsKeepItsOwnNotes) {
  TemporaryDirectory directory;
  uint64_t last_version = 0;
  for (int i = 0; i < 12; i++) {
    auto store = open(directory / "store");
    const KvRecord record{"a", {std::to_string(i)}};
    ASSERT_OK(store->load({&record, 1}));
    ASSERT_OK(store->put("b", "1"));
    auto value = store->get("b");
    ASSERT_OK(value);
    EXPECT_GT(value.value()->version, last_version);
    last_version = value.value()->version;
    EXPECT_EQ(dumped_keys(*store), (std::vector<string>{"a", "b"}));
  }
  EXPECT_EQ(get(*open(directory / "store"), "a"), "11");
}

// What a process that died left in the log: whole writes, and the last one cut off anywhere, or
// with other bytes in it.
TEST(RocksDbKv, ATornLastWriteIsNone) {
  TemporaryDirectory directory;
  auto store = open(directory / "store");
  for (int i = 0; i < 10; i++) ASSERT_OK(store->put("k" + std::to_string(i), "1"));
  const auto before = files_of(directory / "store", ".log");
  ASSERT_OK(store->put("last", "the last one"));
  const auto after = files_of(directory / "store", ".log");
  copy_store(directory / "store", directory / "image");
  store.reset();
  ASSERT_EQ(before.size(), after.size());
  const auto& [log, whole_bytes] = *after.rbegin();
  const uint64_t start_bytes = before.rbegin()->second;
  ASSERT_GT(whole_bytes, start_bytes);

  const auto expect_whole_but_the_last = [&](const string& last) {
    for (int opened_count = 0; opened_count < 2; opened_count++) {
      auto torn = open(directory / "torn");
      ASSERT_NE(torn, nullptr);
      for (int i = 0; i < 10; i++) EXPECT_EQ(get(*torn, "k" + std::to_string(i)), "1");
      EXPECT_EQ(get(*torn, "last"), last);
      EXPECT_EQ(get(*torn, "after"), opened_count == 0 ? "(none)" : "1");
      EXPECT_OK(torn->put("after", "1"));
    }
  };
  for (uint64_t cut = start_bytes; cut <= whole_bytes; cut += cut + 5 < whole_bytes ? 5 : 1) {
    copy_store(directory / "image", directory / "torn");
    fs::resize_file(directory / "torn" + "/" + log, cut);
    expect_whole_but_the_last(cut == whole_bytes ? "the last one" : "(none)");
  }
  for (const char other : {'\0', '\x5a'}) {
    copy_store(directory / "image", directory / "torn");
    fs::remove(directory / "torn" + "/run");  // as after a power cut, which may leave such ends
    std::fstream file(directory / "torn" + "/" + log,
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(std::streamoff(start_bytes + 10));
    for (uint64_t at = start_bytes + 10; at < whole_bytes; at++) file.put(other);
    file.close();
    expect_whole_but_the_last("(none)");
  }
}

// A log that is damaged before its end is no torn one, unless the power may have failed.
TEST(RocksDbKv, ADamagedLogIsNotJustShorter) {
  TemporaryDirectory directory;
  auto store = open(directory / "store");
  for (int i = 0; i < 10; i++) ASSERT_OK(store->put("k" + std::to_string(i), string(100, 'v')));
  const auto [log, log_bytes] = *files_of(directory / "store", ".log").rbegin();
  copy_store(directory / "store", directory / "copy");
  store.reset();
  std::fstream file(directory / "copy" + "/" + log,
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(std::streamoff(log_bytes / 2)).put('\x5a');
  file.close();
  auto opened = open_kv("rocksdb:" + directory / "copy", {}, embedded_kv_schemes());
  ASSERT_FAULT(opened, Fault::kDamaged);
  EXPECT_NE(opened.error().context.find("restore it from a snapshot"), string::npos);

  std::ofstream(directory / "copy" + "/run") << "boot 0 mount 0\n";
  auto after_a_power_cut = open(directory / "copy");
  ASSERT_NE(after_a_power_cut, nullptr);
  EXPECT_EQ(get(*after_a_power_cut, "k0"), string(100, 'v'));
  EXPECT_EQ(get(*after_a_power_cut, "k9"), "(none)");
}

// A process that dies leaves little to read again, however much it wrote.
TEST(RocksDbKv, AKilledOneHasAShortLog) {
  constexpr int kCount = 30'000;
  TemporaryDirectory directory;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const auto value_of = [](int i) { return std::to_string(i) + string(4000, char('a' + i % 26)); };
  ChildProcess writer([&] {
    auto store = open(directory / "store", {.durability = KvDurability::kProcess});
    for (int i = 0; i < kCount; i++) {
      if (!store->put("k" + std::to_string(i), value_of(i)).ok()) return false;
    }
    if (::write(pipe[1], "x", 1) != 1) return false;
    ::pause();
    return true;
  });
  ::close(pipe[1]);
  char byte = 0;
  ASSERT_EQ(::read(pipe[0], &byte, 1), 1);
  ::close(pipe[0]);
  writer.kill();
  uint64_t log_bytes = 0;
  for (const auto& [name, bytes] : files_of(directory / "store", ".log")) log_bytes += bytes;
  EXPECT_GT(log_bytes, 0u);
  EXPECT_LT(log_bytes, uint64_t(96) << 20);
  auto store = open(directory / "store");
  for (int i = 0; i < kCount; i += 7) ASSERT_EQ(get(*store, "k" + std::to_string(i)), value_of(i));
  EXPECT_EQ(get(*store, "k" + std::to_string(kCount - 1)), value_of(kCount - 1));
}

// One that is closed leaves less than that, unless there is no space to write it out.
TEST(RocksDbKv, AClosedOneLeavesLittleToRead) {
  TemporaryDirectory directory;
  const auto log_bytes = [&] {
    uint64_t sum = 0;
    for (const auto& [name, bytes] : files_of(directory / "store", ".log")) sum += bytes;
    return sum;
  };
  auto store = open(directory / "store", {.durability = KvDurability::kProcess});
  for (int i = 0; i < 100; i++) {
    ASSERT_OK(store->put("k" + std::to_string(i), string(100'000, 'v')));
  }
  EXPECT_GT(log_bytes(), 9'000'000u);
  store.reset();
  EXPECT_LT(log_bytes(), 100'000u);
  store = open(directory / "store");
  EXPECT_EQ(dumped_keys(*store).size(), 100u);
  ASSERT_OK(store->put("one more", "1"));
  const auto tables = files_of(directory / "store", ".sst").size();
  store.reset();
  EXPECT_EQ(files_of(directory / "store", ".sst").size(), tables);  // that little stays in the log
  EXPECT_EQ(get(*open(directory / "store"), "one more"), "1");
}

// Killed at any moment of loading, it holds all of one load and nothing of another, and gives no
// version a second time.
TEST(RocksDbKv, AKilledLoadIsWholeOrNone) {
  constexpr int kRecords = 300;
  TemporaryDirectory directory;
  int last = -1;
  uint64_t last_version = 0;
  for (int round = 0; round < 10; round++) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    ChildProcess loader([&] {
      auto store = open(directory / "store");
      for (int i = last + 1;; i++) {
        std::vector<KvRecord> records;
        for (int k = 0; k < kRecords; k++) {
          records.push_back({"k" + std::to_string(k), {std::to_string(i)}});
        }
        if (!store->load(records).ok()) return false;
        if (::write(pipe[1], &i, sizeof i) != sizeof i) return false;
      }
    });
    ::close(pipe[1]);
    const int enough = last + 2;
    while (last < enough && ::read(pipe[0], &last, sizeof last) == sizeof last) {
    }
    ::usleep(useconds_t(round * 700));  // any moment will do
    loader.kill();
    while (::read(pipe[0], &last, sizeof last) == sizeof last) {
    }
    ::close(pipe[0]);
    ASSERT_GE(last, enough);
    auto store = open(directory / "store");
    const string now = get(*store, "k0");
    EXPECT_TRUE(now == std::to_string(last) || now == std::to_string(last + 1)) << now;
    EXPECT_EQ(dumped_keys(*store).size(), size_t(kRecords));
    for (int k = 0; k < kRecords; k++) EXPECT_EQ(get(*store, "k" + std::to_string(k)), now);
    EXPECT_FALSE(fs::exists(directory / "store" + "/load"));
    auto version = store->put("one more", "1");
    ASSERT_OK(version);
    EXPECT_GT(version.value(), last_version + kRecords);
    last_version = version.value();
  }
}

// Somebody else takes the last space at about the moment at which RocksDB writes a file in the
// background, which stops it. With space again the next write goes on.
TEST(RocksDbKv, AFullDiskStopsItNoLongerThanItIsFull) {
  SmallFileSystem disk(96 << 20);
  if (!disk.skip_reason().empty()) GTEST_SKIP() << disk.skip_reason();
  const string path = disk.path() + "/store";
  const string value(50'000, 'v');
  for (int first = 270; first <= 340; first += 7) {
    auto store = open(path, {.durability = KvDurability::kProcess});
    int written = 0;
    const auto put = [&] {
      auto done = store->put("k" + std::to_string(written), value);
      written += done.ok() ? 1 : 0;
      return done.ok() ? Fault::kDiffers : done.error().fault;
    };
    const auto expect_all = [&] {
      for (int i = 0; i < written; i++) ASSERT_EQ(get(*store, "k" + std::to_string(i)), value);
    };
    for (int i = 0; i < first; i++) ASSERT_EQ(put(), Fault::kDiffers);
    // What RocksDB frees in the background is taken, too.
    const auto put_until_it_is_full = [&](int most) {
      Fault fault = Fault::kDiffers;
      for (int i = 0; i < most && fault == Fault::kDiffers; i++) {
        disk.take_all_but(0);
        fault = put();
      }
      return fault;
    };
    EXPECT_EQ(put_until_it_is_full(100), Fault::kNoSpace)
        << "after " << written << " writes, " << first << " before";
    EXPECT_EQ(put_until_it_is_full(100), Fault::kNoSpace);
    expect_all();
    disk.give_back();
    for (int i = 0; i < 30; i++) ASSERT_EQ(put(), Fault::kDiffers) << first;
    store = nullptr;
    store = open(path);
    expect_all();
    EXPECT_OK(store->put("after", "1"));
    EXPECT_OK(store->compact());
    store.reset();
    fs::remove_all(path);
  }
}

TEST(RocksDbKv, ASnapshotThatFailsLeavesNothing) {
  TemporaryDirectory directory;
  auto store = open(directory / "store");
  ASSERT_OK(store->put("a", "1"));
  EXPECT_FAULT(store->snapshot(directory / "none" + "/copy"), Fault::kNotFound);
  EXPECT_FAULT(store->snapshot(directory / "store"), Fault::kExists);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
  ASSERT_OK(store->snapshot(directory / "copy/"));
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 2);
  EXPECT_EQ(get(*open(directory / "copy"), "a"), "1");
}

}  // namespace
}  // namespace casdisk
