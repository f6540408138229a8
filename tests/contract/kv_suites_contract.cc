// That each key-value store is in the suites of the contract that its capabilities promise, and in
// no other: a suite that somebody forgot to run over a store would pass.
#include <map>
#include <set>

#include "tests/contract/kv_contract.h"

namespace casdisk {
namespace {

using std::string;
using Names = std::set<string>;

struct Suite {
  string name;
  KvCapabilities needs;
  std::function<bool(const KvEntry&)> needs_also = nullptr;
};

bool has_own_clock(const KvEntry& entry) {
  return entry.capabilities.has(KvCapability::kServerClock);
}

const std::vector<Suite>& suites() {
  using enum KvCapability;
  static const std::vector<Suite> kSuites = {
      {"KvContract", {}},
      {"KvVersions", kVersions},
      {"KvBatches", kBatch},
      {"KvDurable", kDurable},
      {"KvShared", kShared | kDurable},
      {"KvServerClock", kServerClock},
      {"KvExpiry", kTtl, [](auto& entry) { return !has_own_clock(entry); }},
      {"KvLastingExpiry", kTtl | kDurable, [](auto& entry) { return !has_own_clock(entry); }},
      {"KvBinaryKeys", {}, [](auto& entry) { return !entry.limits.is_text; }},
      {"KvFewKeys", {}, [](auto& entry) { return entry.limits.record_count > 0; }},
      {"KvFilesContract", kVersions | kBatch, [](auto& entry) { return !entry.limits.is_text; }},
      {"KvKilled", kDurable, [](auto& entry) { return entry.is_embedded; }},
      {"KvKilledCompaction", kDurable | kCompact, [](auto& entry) { return entry.is_embedded; }},
      {"KvFullDisk", kDurable, [](auto& entry) { return entry.is_embedded; }},
  };
  return kSuites;
}

// The stores that each test of "All/SUITE" is there for.
Names stores_of(const testing::TestSuite& suite) {
  std::map<string, Names> stores;  // by the test's name
  for (int i = 0; i < suite.total_test_count(); i++) {
    const string name = suite.GetTestInfo(i)->name();
    stores[name.substr(0, name.find('/'))].insert(name.substr(name.find('/') + 1));
  }
  for (const auto& [test, names] : stores) EXPECT_EQ(names, stores.begin()->second) << test;
  return stores.empty() ? Names() : stores.begin()->second;
}

std::map<string, Names> registered() {
  std::map<string, Names> found;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); i++) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    const string name = suite.name();
    if (name.starts_with("All/Kv")) found[name.substr(4)] = stores_of(suite);
  }
  found.erase("KvServers");  // of servers, not of stores
  return found;
}

TEST(KvSuites, EveryStoreIsWhereItsCapabilitiesSay) {
  auto found = registered();
  for (const Suite& suite : suites()) {
    Names promised;
    for (const KvEntry& entry : kv_entries()) {
      const bool has_all = (entry.capabilities.bits & suite.needs.bits) == suite.needs.bits;
      const bool has_rest = !suite.needs_also || suite.needs_also(entry);
      if (has_all && has_rest) promised.insert(entry.name);
    }
    EXPECT_FALSE(promised.empty()) << suite.name;
    EXPECT_EQ(found[suite.name], promised) << suite.name;
    found.erase(suite.name);
  }
  for (const auto& [name, stores] : found) ADD_FAILURE() << name << " is not in the table";
}

// What has a suite of its own, or is asked for in KvContract of those that have it and those that
// have not.
TEST(KvSuites, EveryCapabilityIsShown) {
  using enum KvCapability;
  KvCapabilities shown = kAppend | kLoad | kStale | kSnapshot | kCompact;
  for (const Suite& suite : suites()) shown = shown | suite.needs;
  KvCapabilities had;
  for (const KvEntry& entry : kv_entries()) had = had | entry.capabilities;
  EXPECT_EQ(shown.bits, had.bits);
}

}  // namespace
}  // namespace casdisk
