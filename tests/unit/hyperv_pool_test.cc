#include "cas/kv/hyperv_pool.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/result_assertions.h"
#include "tests/support/simulated_computer.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

using std::string;
using Pairs = std::vector<std::pair<string, string>>;
using Change = std::function<Result<void>(HypervPool& pool)>;

std::vector<HypervRecord> records_of(const Pairs& pairs) {
  std::vector<HypervRecord> records;
  for (const auto& [key, value] : pairs) records.push_back({key, value});
  return records;
}

// A value that is longer than a sector, and says in all of them which one it is.
string long_value(char c) { return string(1900, c); }

// One process with the file open.
class PoolFile {
 public:
  explicit PoolFile(SimulatedComputer& computer) : process_(computer.start_process()) {
    auto root = must(process_.file_system->open_directory("/"));
    file_ = must(root->open("pool", OpenMode::kCreateAny));
    must(root->sync());
  }
  File& file() { return *file_; }
  HypervPool pool() { return HypervPool(*file_); }
  Pairs dumped() {
    Pairs all;
    EXPECT_OK(pool().visit([&](uint64_t, const HypervRecord& record) -> Result<void> {
      all.emplace_back(record.key, record.value);
      return {};
    }));
    return all;
  }
  uint64_t size() { return must(file_->size()); }

 private:
  SimulatedComputer::Process process_;
  std::unique_ptr<File> file_;
};

class HypervPoolTest : public testing::Test {
 protected:
  void load(const Pairs& pairs) { ASSERT_OK(file_.pool().load(records_of(pairs))); }
  void put(const string& key, const string& value) { EXPECT_OK(file_.pool().put({key, value})); }
  uint64_t remove(const string& key) { return must(file_.pool().remove(key)); }

  SimulatedComputer computer_{1};
  PoolFile file_{computer_};
};

TEST_F(HypervPoolTest, APutStaysInItsPlaceAndLeavesOne) {
  load({{"a", "1"}, {"b", "1"}, {"c", "1"}, {"b", "2"}, {"d", "1"}, {"d", "2"}, {"b", "3"}});
  put("b", "4");
  EXPECT_EQ(file_.dumped(), (Pairs{{"a", "1"}, {"b", "4"}, {"c", "1"}, {"d", "1"}, {"d", "2"}}));
  put("c", long_value('c'));
  put("e", "1");
  EXPECT_EQ(
      file_.dumped(),
      (Pairs{{"a", "1"}, {"b", "4"}, {"c", long_value('c')}, {"d", "1"}, {"d", "2"}, {"e", "1"}}));
  put("c", "2");
  EXPECT_EQ(file_.size(), 6 * kHypervRecordBytes);
}

// Moving the last record into the gap would let an older duplicate win.
TEST_F(HypervPoolTest, ARemovalKeepsTheOthersOrder) {
  load({{"a", "1"}, {"b", "1"}, {"a", "2"}, {"c", "1"}, {"b", "2"}});
  EXPECT_EQ(remove("a"), 2u);
  EXPECT_EQ(file_.dumped(), (Pairs{{"b", "1"}, {"c", "1"}, {"b", "2"}}));
  EXPECT_EQ(remove("a"), 0u);
  EXPECT_EQ(remove("b"), 2u);
  EXPECT_EQ(remove("c"), 1u);
  EXPECT_EQ(file_.size(), 0u);
}

// As the daemon leaves them, which copies no more than the new text.
TEST_F(HypervPoolTest, WhatIsBehindTheNulIsClearedByAPut) {
  load({{"a", long_value('x')}, {"b", "1"}});
  ASSERT_OK(file_.file().write(kHypervKeyBytes, std::as_bytes(std::span("sh"))));
  EXPECT_EQ(file_.dumped(), (Pairs{{"a", "sh"}, {"b", "1"}}));
  put("a", "new");
  Bytes record(kHypervRecordBytes);
  Bytes expected(kHypervRecordBytes);
  ASSERT_OK(file_.file().read(0, record));
  encode_hyperv_record({"a", "new"}, expected);
  EXPECT_EQ(record, expected);
}

TEST_F(HypervPoolTest, ATornTailIsNoRecordAndGoesWithTheNextChange) {
  const std::vector<Change> changes = {
      [](HypervPool& pool) {
        return pool.put({"b", "2"});
      },
      [](HypervPool& pool) {
        return pool.put({"a", "1"});
      },
      [](HypervPool& pool) {
        return pool.append(records_of({{"b", "2"}}));
      },
      [](HypervPool& pool) {
        must(pool.remove("nothing"));
        return Result<void>();
      },
      [](HypervPool& pool) {
        return pool.load(records_of({{"a", "1"}}));
      },
  };
  for (const uint64_t torn_bytes : {uint64_t(1), uint64_t(600), kHypervRecordBytes - 1}) {
    for (const Change& change : changes) {
      load({{"a", "1"}});
      ASSERT_OK(file_.file().write(kHypervRecordBytes, Bytes(torn_bytes, std::byte('t'))));
      EXPECT_EQ(file_.dumped(), (Pairs{{"a", "1"}}));
      const auto shape = must(file_.pool().scan([](auto, auto&) { return Result<void>(); }));
      EXPECT_EQ(shape.torn_bytes, torn_bytes);
      EXPECT_EQ(shape.record_count(), 1u);
      HypervPool pool = file_.pool();
      ASSERT_OK(change(pool));
      EXPECT_EQ(file_.size() % kHypervRecordBytes, 0u);
      EXPECT_EQ(file_.dumped()[0], (Pairs::value_type{"a", "1"}));
      for (const auto& [key, value] : file_.dumped()) EXPECT_TRUE(key == "a" || key == "b") << key;
    }
  }
}

TEST_F(HypervPoolTest, RecordsWithoutAKeyAreNoneAndGoWithTheNextChange) {
  load({{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}});
  for (const uint64_t slot : {0, 2, 3}) {
    ASSERT_OK(file_.file().write(slot * kHypervRecordBytes, Bytes(kHypervKeyBytes)));
  }
  EXPECT_EQ(file_.dumped(), (Pairs{{"b", "1"}}));
  put("b", "2");
  EXPECT_EQ(file_.dumped(), (Pairs{{"b", "2"}}));
  EXPECT_EQ(file_.size(), kHypervRecordBytes);
}

TEST_F(HypervPoolTest, AsManyKeysAsThereMayBeAndAnyNumberOfDuplicates) {
  Pairs all;
  for (uint64_t i = 0; i < kMaxHypervKeys - 1; i++) all.emplace_back(std::to_string(i), "1");
  for (int i = 0; i < 50; i++) all.emplace_back("7", "2");
  load(all);
  put("one more", "1");
  auto refused = file_.pool().put({"too many", "1"});
  EXPECT_FAULT(refused, Fault::kLimit);
  put("7", "3");
  EXPECT_EQ(file_.dumped().size(), kMaxHypervKeys);
  // Nothing counts what is appended.
  ASSERT_OK(file_.pool().append(records_of({{"too many", "1"}})));
  EXPECT_EQ(file_.dumped().size(), kMaxHypervKeys + 1);
}

TEST_F(HypervPoolTest, WhereThereIsNoSpaceNothingChanges) {
  SimulatedComputer small(1, 40'000);
  PoolFile file(small);
  int count = 0;
  while (file.pool().put({std::to_string(count), long_value('a')}).ok()) count++;
  ASSERT_GT(count, 4);
  const Pairs before = file.dumped();
  EXPECT_EQ(before.size(), size_t(count));
  Pairs more;
  for (int i = 0; i < 8; i++) more.emplace_back("new" + std::to_string(i), long_value('n'));
  EXPECT_FAULT(file.pool().load(records_of(more)), Fault::kNoSpace);
  EXPECT_FAULT(file.pool().append(records_of(more)), Fault::kNoSpace);
  EXPECT_EQ(file.dumped(), before);
  EXPECT_EQ(file.size(), uint64_t(count) * kHypervRecordBytes);
  EXPECT_EQ(must(file.pool().remove(std::to_string(count - 1))), 1u);
}

// --- Crashes: at each change that a script makes, each sort of accident.

std::map<string, string> by_key(const Pairs& pairs) {
  std::map<string, string> last;
  for (const auto& [key, value] : pairs) last[key] = value;
  return last;
}

struct Script {
  const char* name;
  Pairs before;
  Change change;
  Pairs after;
  // Whether each key may be as before or after by itself: of what is not one key's change.
  bool is_of_many = false;
};

std::vector<Script> scripts() {
  const string x = long_value('x');
  const string y = long_value('y');
  const Pairs some = {{"a", x}, {"b", "1"}, {"c", y}, {"b", "2"}, {"d", x}, {"c", x}};
  const auto put = [](const string& key, const string& value) -> Change {
    return [=](HypervPool& pool) { return pool.put({key, value}); };
  };
  const auto remove = [](const string& key) -> Change {
    return [=](HypervPool& pool) -> Result<void> {
      TRY_ASSIGN(const uint64_t count, pool.remove(key));
      EXPECT_GT(count, 0u);
      return {};
    };
  };
  const Pairs fresh = {{"a", y}, {"n", x}, {"o", "1"}, {"n", y}, {"p", x}, {"q", y}, {"r", "1"}};
  Pairs appended = some;
  appended.insert(appended.end(), fresh.begin(), fresh.end());
  return {
      {"put a new key",
       some,
       put("n", x),
       {{"a", x}, {"b", "1"}, {"c", y}, {"b", "2"}, {"d", x}, {"c", x}, {"n", x}}},
      {"put a short value over a short one",
       {{"a", x}, {"b", "1"}, {"c", y}},
       put("b", "2"),
       {{"a", x}, {"b", "2"}, {"c", y}}},
      {"put a long value over a long one",
       some,
       put("a", y),
       {{"a", y}, {"b", "1"}, {"c", y}, {"b", "2"}, {"d", x}, {"c", x}}},
      {"put a long value over a short one",
       {{"b", "1"}, {"a", x}},
       put("b", y),
       {{"b", y}, {"a", x}}},
      {"put a short value over a long one",
       some,
       put("d", "1"),
       {{"a", x}, {"b", "1"}, {"c", y}, {"b", "2"}, {"d", "1"}, {"c", x}}},
      {"put over duplicates",
       some,
       put("c", "1"),
       {{"a", x}, {"b", "1"}, {"c", "1"}, {"b", "2"}, {"d", x}}},
      {"remove the first",
       some,
       remove("a"),
       {{"b", "1"}, {"c", y}, {"b", "2"}, {"d", x}, {"c", x}}},
      {"remove duplicates", some, remove("b"), {{"a", x}, {"c", y}, {"d", x}, {"c", x}}},
      {"remove the last", {{"a", x}, {"b", "1"}}, remove("b"), {{"a", x}}},
      {"append", some, [=](HypervPool& pool) { return pool.append(records_of(fresh)); }, appended,
       true},
      {"load more", some, [=](HypervPool& pool) { return pool.load(records_of(fresh)); }, fresh,
       true},
      {"load less", appended, [=](HypervPool& pool) { return pool.load(records_of(some)); }, some,
       true},
      {"truncate", some, [](HypervPool& pool) { return pool.clear(); }, {}, true},
  };
}

// Each key has a value that it has in one of the two; and all that one key's change does not touch
// are as they are in both.
void judge(const Script& script, const Pairs& found) {
  const auto before = by_key(script.before), after = by_key(script.after), now = by_key(found);
  if (!script.is_of_many) {
    EXPECT_TRUE(now == before || now == after) << script.name;
    return;
  }
  for (const auto& [key, value] : now) {
    const auto is_among = [&](const Pairs& pairs) {
      return std::ranges::find(pairs, Pairs::value_type{key, value}) != pairs.end();
    };
    EXPECT_TRUE(is_among(script.before) || is_among(script.after)) << script.name << ": " << key;
  }
  for (const auto& [key, value] : before) {
    const auto later = after.find(key);
    if (later != after.end() && later->second == value) {
      EXPECT_TRUE(now.contains(key)) << script.name << ": " << key << " is gone";
    }
  }
}

uint64_t changes_of(const Script& script) {
  SimulatedComputer computer(1);
  PoolFile file(computer);
  must(file.pool().load(records_of(script.before)));
  const uint64_t changes = computer.counts().changes;
  HypervPool pool = file.pool();
  must(script.change(pool));
  EXPECT_EQ(file.dumped(), script.after) << script.name;
  return computer.counts().changes - changes;
}

TEST(HypervPoolCrash, AnAccidentAtEveryChangeTearsNothing) {
  uint64_t runs = 0;
  for (const Script& script : scripts()) {
    const uint64_t changes = changes_of(script);
    for (uint64_t change = 1; change <= changes + 1; change++) {
      for (const Crash crash : {Crash::kProcessDies, Crash::kPowerFails}) {
        for (uint64_t seed = 0; seed < 12; seed++) {
          SimulatedComputer computer(seed);
          PoolFile file(computer);
          must(file.pool().load(records_of(script.before)));
          computer.crash_at(change, crash, Moment(seed % 3));
          HypervPool pool = file.pool();
          const bool is_done = script.change(pool).ok();
          EXPECT_EQ(is_done, change > changes) << script.name;
          computer.crash_at(0, crash, Moment::kBefore);
          if (is_done) computer.cut_power();
          PoolFile later(computer);
          if (is_done) {
            EXPECT_EQ(later.dumped(), script.after) << script.name;
          } else {
            judge(script, later.dumped());
          }
          // Whatever it left, the next change goes on from there, and clears it away.
          const auto now = by_key(later.dumped());
          EXPECT_OK(later.pool().put({"next", long_value('z')}));
          auto expected = now;
          expected["next"] = long_value('z');
          EXPECT_EQ(by_key(later.dumped()), expected) << script.name;
          EXPECT_EQ(later.size(), later.dumped().size() * kHypervRecordBytes) << script.name;
          runs++;
        }
      }
    }
  }
  EXPECT_GT(runs, 1000u);
}

TEST(HypervPoolCrash, AFailureAtEveryChangeTearsNothing) {
  for (const Script& script : scripts()) {
    const uint64_t changes = changes_of(script);
    for (uint64_t change = 1; change <= changes; change++) {
      for (uint64_t seed = 0; seed < 6; seed++) {
        SimulatedComputer computer(seed);
        PoolFile file(computer);
        must(file.pool().load(records_of(script.before)));
        computer.fail_at(change);
        HypervPool pool = file.pool();
        auto failed = script.change(pool);
        EXPECT_FALSE(failed.ok()) << script.name;
        computer.fail_at(0);
        if (seed % 2 == 1) computer.cut_power();
        judge(script, PoolFile(computer).dumped());
      }
    }
  }
}

}  // namespace
}  // namespace casdisk
