// What every key-value store must do with itself as a whole.
#include <sys/wait.h>
#include <unistd.h>

#include "tests/contract/kv_contract.h"
#include "tests/support/child_process.h"

namespace casdisk {
namespace {

using std::string;
using Pairs = std::vector<std::pair<string, string>>;

std::vector<KvRecord> records_of(const Pairs& pairs) {
  std::vector<KvRecord> records;
  for (const auto& [key, value] : pairs) records.push_back({key, {value}});
  return records;
}

TEST_P(KvContract, LoadIsTheInverseOfDump) {
  Pairs pairs;
  for (int i = 100; i < 700; i++) pairs.emplace_back("k" + std::to_string(i), std::to_string(i));
  pairs.emplace_back("l", "");
  for (const auto& [key, value] : pairs) put(key, value);
  const Pairs before = dumped();
  EXPECT_EQ(before.size(), pairs.size());
  if (!can(KvCapability::kLoad)) {
    EXPECT_FAULT(store_->load({}), Fault::kUnsupported);
    EXPECT_EQ(dumped(), before);
    return;
  }
  ASSERT_OK(store_->truncate());
  put("not in the dump", "1");
  ASSERT_OK(store_->load(records_of(before)));
  EXPECT_EQ(dumped(), before);
  EXPECT_EQ(get("k123"), "123");
  ASSERT_OK(store_->load({}));
  EXPECT_TRUE(dumped().empty());
}

TEST_P(KvContract, ARefusedLoadLeavesNoTrace) {
  put("a", "1");
  const auto expect_refused = [&](const Pairs& pairs, Fault fault) {
    EXPECT_FAULT(store_->load(records_of(pairs)),
                 can(KvCapability::kLoad) ? fault : Fault::kUnsupported);
    EXPECT_EQ(dumped(), (Pairs{{"a", "1"}}));
  };
  expect_refused({{"b", "1"}, {"", "1"}}, Fault::kInvalid);
  expect_refused({{"b", "1"}, {"c", string(limits().value_bytes + 1, 'v')}}, Fault::kTooLarge);
  expect_refused({{"b", "1"}, {string(limits().key_bytes + 1, 'k'), ""}}, Fault::kTooLarge);
  if (!can(KvCapability::kAppend)) expect_refused({{"b", "1"}, {"b", "2"}}, Fault::kInvalid);
  if (limits().record_count != 0) {
    Pairs many;
    for (uint64_t i = 0; i <= limits().record_count; i++) many.emplace_back(std::to_string(i), "");
    expect_refused(many, Fault::kLimit);
  }
  // Where records expire, not later than every engine can count.
  const bool has_ttl = can(KvCapability::kTtl);
  const uint64_t expiry_ms = has_ttl ? kMaxKvExpiryMs + 1 : now_ms_ + kMinKvTtlMs;
  KvRecord expiring{"b", {"1", 0, expiry_ms}};
  EXPECT_FAULT(store_->load({&expiring, 1}),
               has_ttl && can(KvCapability::kLoad) ? Fault::kInvalid : Fault::kUnsupported);
  EXPECT_EQ(dumped(), (Pairs{{"a", "1"}}));
}

TEST_P(KvContract, ARecordMayExpireInThousandsOfYears) {
  if (!can(KvCapability::kTtl) || !can(KvCapability::kLoad)) return;
  KvRecord lasting{"b", {"1", 0, kMaxKvExpiryMs}};
  ASSERT_OK(store_->load({&lasting, 1}));
  EXPECT_EQ(get("b"), "1");
}

TEST_P(KvFewKeys, AsManyKeysAsItHolds) {
  Pairs all;
  for (uint64_t i = 1; i < limits().record_count; i++) all.emplace_back(std::to_string(i), "1");
  ASSERT_OK(store_->load(records_of(all)));
  put("last", "1");
  auto refused = store_->put("one more", "1");
  EXPECT_FAULT(refused, Fault::kLimit);
  EXPECT_EQ(refused.error().max, limits().record_count);
  EXPECT_EQ(get("one more"), "(none)");
  put("last", "2");  // what is there may be overwritten
  ASSERT_OK(store_->remove("1"));
  put("one more", "1");
}

TEST_P(KvContract, DuplicatesAreAppendedAndDumped) {
  const auto twice = records_of({{"a", "2"}, {"b", "1"}, {"a", "3"}});
  put("a", "1");
  if (!can(KvCapability::kAppend)) {
    EXPECT_FAULT(store_->append(twice), Fault::kUnsupported);
    EXPECT_EQ(dumped(), (Pairs{{"a", "1"}}));
    return;
  }
  ASSERT_OK(store_->append({}));
  ASSERT_OK(store_->append(twice));
  EXPECT_EQ(dumped(), (Pairs{{"a", "1"}, {"a", "2"}, {"b", "1"}, {"a", "3"}}));
  EXPECT_EQ(get("a"), "3");
  EXPECT_EQ(keys("", 1), (std::vector<string>{"a", "b"}));
  auto page = store_->list("a");
  ASSERT_OK(page);
  ASSERT_EQ(page.value().records.size(), 1u);
  EXPECT_EQ(page.value().records[0].value.bytes, "3");
  if (can(KvCapability::kLoad)) {
    const Pairs before = dumped();
    ASSERT_OK(store_->load(records_of(before)));
    EXPECT_EQ(dumped(), before);
  }
  const std::vector<KvRecord> bad = records_of({{"c", "1"}, {"", "1"}});
  EXPECT_FAULT(store_->append(bad), Fault::kInvalid);
  EXPECT_EQ(get("c"), "(none)");
  put("a", "4");  // replaces them all
  EXPECT_EQ(dumped().size(), 2u);
  ASSERT_OK(store_->append(records_of({{"a", "5"}})));
  const std::vector<string> both = {"a"};
  auto count = store_->remove_many(both);
  ASSERT_OK(count);
  EXPECT_EQ(count.value(), 2u);
  EXPECT_EQ(dumped(), (Pairs{{"b", "1"}}));
}

TEST_P(KvContract, TruncateEmptiesIt) {
  ASSERT_OK(store_->truncate());
  for (int i = 0; i < 50; i++) put("k" + std::to_string(i), "1");
  ASSERT_OK(store_->truncate());
  EXPECT_TRUE(dumped().empty());
  EXPECT_EQ(get("k1"), "(none)");
  put("k1", "2");
  EXPECT_EQ(dumped(), (Pairs{{"k1", "2"}}));
}

// What was just written is of this boot.
TEST_P(KvContract, WhatWasJustWrittenIsNotStale) {
  auto is_stale = store_->is_stale();
  ASSERT_OK(is_stale);
  EXPECT_FALSE(is_stale.value());
  put("a", "1");
  is_stale = store_->is_stale();
  ASSERT_OK(is_stale);
  EXPECT_FALSE(is_stale.value());
  auto was_stale = store_->truncate_if_stale();
  ASSERT_OK(was_stale);
  EXPECT_FALSE(was_stale.value());
  EXPECT_EQ(get("a"), "1");
}

TEST_P(KvDurable, ReopeningKeepsEverything) {
  for (int i = 0; i < 50; i++) put("k" + std::to_string(i), string(i * 10, 'v'));
  ASSERT_OK(store_->remove("k7"));
  const Pairs before = dumped();
  const uint64_t version = can(KvCapability::kVersions) ? version_of("k8") : 0;
  reopen();
  EXPECT_EQ(dumped(), before);
  if (can(KvCapability::kVersions)) {
    EXPECT_EQ(version_of("k8"), version);
  }
  put("k7", "back");
  reopen();
  EXPECT_EQ(get("k7"), "back");
}

TEST_P(KvContract, ASnapshotIsAStoreOfThatMoment) {
  const string path = directory_ / "snapshot";
  if (!can(KvCapability::kSnapshot)) {
    EXPECT_FAULT(store_->snapshot(path), Fault::kUnsupported);
    EXPECT_NE(::access(path.c_str(), F_OK), 0);
    return;
  }
  put("a", "1");
  ASSERT_OK(store_->snapshot(path));
  put("a", "2");
  EXPECT_FAULT(store_->snapshot(path), Fault::kExists);
  const size_t colon = store_->name().find(':');
  auto copy = open_kv(store_->name().substr(0, colon + 1) + path, options(), embedded_kv_schemes());
  ASSERT_OK(copy);
  auto value = copy.value()->get("a");
  ASSERT_OK(value);
  ASSERT_TRUE(value.value());
  EXPECT_EQ(value.value()->bytes, "1");
  EXPECT_OK(copy.value()->put("b", "1"));
  EXPECT_EQ(get("b"), "(none)");
  EXPECT_EQ(get("a"), "2");
}

TEST_P(KvContract, CompactingKeepsEverything) {
  if (!can(KvCapability::kCompact)) {
    EXPECT_FAULT(store_->compact(), Fault::kUnsupported);
    return;
  }
  for (int i = 0; i < 500; i++) put("k" + std::to_string(i), string(200, 'v'));
  for (int i = 0; i < 500; i += 2) ASSERT_OK(store_->remove("k" + std::to_string(i)));
  put("k1", "overwritten");
  const Pairs before = dumped();
  ASSERT_OK(store_->compact());
  EXPECT_EQ(dumped(), before);
  EXPECT_EQ(get("k1"), "overwritten");  // not the older of two
  EXPECT_EQ(get("k2"), "(none)");       // and nothing comes back
  put("k2", "new");
  reopen();
  EXPECT_EQ(get("k2"), "new");
  EXPECT_EQ(get("k3"), string(200, 'v'));
}

TEST_P(KvContract, StatsCountRecords) {
  auto stats = store_->stats();
  ASSERT_OK(stats);
  EXPECT_EQ(stats.value().record_count, 0u);
  put("a", "1");
  put("b", "1");
  put("a", "2");
  stats = store_->stats();
  ASSERT_OK(stats);
  EXPECT_EQ(stats.value().record_count, 2u);
}

// Two processes make the same user at the same time, many times: one wins, nothing is overwritten.
TEST_P(KvShared, TwoProcessesWriteOneStore) {
  constexpr int kRounds = 20;
  const bool has_versions = can(KvCapability::kVersions);
  store_.reset();
  const auto body = [&](const string& me) {
    auto opened = subject_->open(options());
    if (!opened.ok()) return false;
    KvStore& store = *opened.value();
    for (int i = 0; i < kRounds; i++) {
      auto made = store.put("user/" + std::to_string(i), me, {.if_absent = true});
      if (!made.ok() && made.error().fault != Fault::kConflict) return false;
      if (made.ok() && !store.put("made/" + me + std::to_string(i), "1").ok()) return false;
      if (!has_versions) continue;
      auto count = store.read_modify_write("count", "0", [](auto text) -> Result<string> {
        return std::to_string(std::stoi(string(text)) + 1);
      });
      if (!count.ok()) return false;
    }
    return true;
  };
  ChildProcess alice([&] { return body("a"); });
  ChildProcess bob([&] { return body("b"); });
  EXPECT_TRUE(alice.succeeded());
  EXPECT_TRUE(bob.succeeded());
  reopen();
  for (int i = 0; i < kRounds; i++) {
    const string number = std::to_string(i);
    const string winner = get("user/" + number);
    EXPECT_EQ(get("made/" + winner + number), "1");
    EXPECT_EQ(get("made/" + string(winner == "a" ? "b" : "a") + number), "(none)");
  }
  if (has_versions) {
    EXPECT_EQ(get("count"), std::to_string(2 * kRounds));
  }
}

// A process that is killed while it writes loses nothing that it was told is written.
TEST_P(KvDurable, AKilledWriterLosesNothing) {
  store_.reset();
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  ChildProcess writer([&] {
    auto opened = subject_->open(options());
    if (!opened.ok()) return false;
    for (int i = 0;; i++) {
      const bool is_written =
          opened.value()->put("k" + std::to_string(i % 900), std::to_string(i)).ok();
      if (!is_written || ::write(pipe[1], &i, sizeof i) != sizeof i) return false;
    }
  });
  ::close(pipe[1]);
  int last = -1;
  while (last < 40 && ::read(pipe[0], &last, sizeof last) == sizeof last) {
  }
  writer.kill();
  while (::read(pipe[0], &last, sizeof last) == sizeof last) {
  }
  ::close(pipe[0]);
  ASSERT_GE(last, 40);
  reopen();
  for (int i = std::max(0, last - 800); i <= last; i++) {
    const string value = get("k" + std::to_string(i % 900));
    EXPECT_TRUE(value == std::to_string(i) || value == std::to_string(i + 900)) << value;
  }
  put("after", "1");
  EXPECT_EQ(get("after"), "1");
}

}  // namespace
}  // namespace casdisk
