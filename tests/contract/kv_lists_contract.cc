// What every key-value store must do with lists.
#include <algorithm>
#include <set>
#include <thread>

#include "tests/contract/kv_contract.h"

namespace casdisk {
namespace {

using std::string;

string numbered(const string& prefix, int number) {
  string digits = std::to_string(number);
  return prefix + string(4 - digits.size(), '0') + digits;
}

TEST_P(KvContract, APrefixAndNothingElse) {
  for (const char* key : {"a", "a/", "a/1", "a/2", "a0", "b"}) put(key, "1");
  EXPECT_EQ(keys("a/"), (std::vector<string>{"a/", "a/1", "a/2"}));
  EXPECT_EQ(keys("a/1"), std::vector<string>{"a/1"});
  EXPECT_TRUE(keys("a/3").empty());
  EXPECT_TRUE(keys("c").empty());
  EXPECT_EQ(keys("").size(), 6u);
}

// A successor of the prefix, as an upper bound, does not exist there.
TEST_P(KvBinaryKeys, APrefixOfAllOnes) {
  for (const char* key : {"a", "\xfe\xff", "\xff", "\xff\x01", "\xff\xff", "\xff\xff\xff"}) {
    put(key, "1");
  }
  EXPECT_EQ(keys("\xff"), (std::vector<string>{"\xff", "\xff\x01", "\xff\xff", "\xff\xff\xff"}));
  EXPECT_EQ(keys("\xff\xff", 1), (std::vector<string>{"\xff\xff", "\xff\xff\xff"}));
  EXPECT_EQ(keys("\xfe\xff"), std::vector<string>{"\xfe\xff"});
}

TEST_P(KvContract, PagesOfEverySize) {
  std::vector<string> all;
  for (int i = 0; i < 25; i++) all.push_back(numbered("k", i));
  for (const string& key : all) put(key, "value of " + key);
  put("j", "1");
  put("l", "1");
  for (const size_t limit : {1, 2, 5, 24, 25, 26, 1000}) EXPECT_EQ(keys("k", limit), all);
  auto page = store_->list("k", {.limit_count = 2});
  ASSERT_OK(page);
  ASSERT_EQ(page.value().records.size(), 2u);
  EXPECT_EQ(page.value().records[1].value.bytes, "value of k0001");
  if (can(KvCapability::kVersions)) {
    EXPECT_EQ(page.value().records[1].value.version, version_of("k0001"));
  }
}

TEST_P(KvContract, MoreThanAPageHolds) {
  constexpr int kCount = 1000;  // what the smallest backend holds, less a few
  std::vector<string> all;
  for (int i = 0; i < kCount; i++) all.push_back(numbered("k", i));
  for (const string& key : all) put(key, "1");
  put("l", "1");
  EXPECT_EQ(keys("k"), all);
  EXPECT_EQ(keys("", 999).size(), size_t(kCount) + 1);
  EXPECT_EQ(keys("k", 300), all);
}

// A page of records is bounded in bytes, too.
TEST_P(KvContract, LargeRecordsMakeShortPages) {
  const size_t value_bytes = std::min<size_t>(limits().value_bytes, size_t(1) << 20);
  for (int i = 0; i < 12; i++) put(numbered("k", i), string(value_bytes, char('a' + i)));
  size_t seen_count = 0;
  KvListOptions options;
  do {
    auto page = store_->list("k", options);
    ASSERT_OK(page);
    size_t page_bytes = 0;
    for (const KvRecord& record : page.value().records) {
      EXPECT_EQ(record.value.bytes, string(value_bytes, char('a' + seen_count)));
      page_bytes += record.value.bytes.size();
      seen_count++;
    }
    EXPECT_LE(page_bytes, size_t(8) << 20);
    options.cursor = page.value().cursor;
  } while (options.cursor);
  EXPECT_EQ(seen_count, 12u);
}

TEST_P(KvContract, OnlyItsOwnCursorsAreTaken) {
  for (int i = 0; i < 5; i++) put(numbered("k", i), "1");
  auto page = store_->list("k", {.limit_count = 2});
  ASSERT_OK(page);
  ASSERT_TRUE(page.value().cursor);
  const string cursor = *page.value().cursor;

  std::vector<string> bad = {
      "", "0", "k0001", cursor.substr(1), cursor.substr(0, cursor.size() - 2), cursor + "00"};
  for (size_t i = 0; i < cursor.size(); i++) {
    bad.push_back(cursor);
    bad.back()[i] = cursor[i] == '0' ? '1' : '0';
  }
  for (const string& wrong : bad) {
    EXPECT_FAULT(store_->list("k", {.cursor = wrong}), Fault::kInvalid) << wrong;
  }
  for (const char* prefix : {"", "k0", "k000", "l"}) {
    EXPECT_FAULT(store_->list(prefix, {.cursor = cursor}), Fault::kInvalid) << prefix;
  }
  auto rest = store_->list("k", {.cursor = cursor});
  ASSERT_OK(rest);
  ASSERT_EQ(rest.value().records.size(), 3u);
  EXPECT_EQ(rest.value().records[0].key, "k0002");
}

TEST_P(KvContract, APageHasOneToAThousandRecords) {
  EXPECT_FAULT(store_->list("", {.limit_count = 0}), Fault::kInvalid);
  EXPECT_FAULT(store_->list("", {.limit_count = 1001}), Fault::kInvalid);
  EXPECT_OK(store_->list("", {.limit_count = 1}));
  EXPECT_OK(store_->list("", {.limit_count = 1000}));
}

// The record that a cursor stands at may go; the page after it begins behind it all the same.
TEST_P(KvContract, ACursorOutlivesItsRecord) {
  for (int i = 0; i < 6; i++) put(numbered("k", i), "1");
  auto page = store_->list("k", {.limit_count = 3});
  ASSERT_OK(page);
  ASSERT_TRUE(page.value().cursor);
  for (int i : {1, 2, 3}) ASSERT_OK(store_->remove(numbered("k", i)));
  auto rest = store_->list("k", {.cursor = page.value().cursor});
  ASSERT_OK(rest);
  ASSERT_EQ(rest.value().records.size(), 2u);
  EXPECT_EQ(rest.value().records[0].key, "k0004");
}

// What stays is seen once, whatever comes and goes around it.
TEST_P(KvContract, PagesOfOneWhileOthersWrite) {
  std::vector<string> lasting;
  for (int i = 0; i < 40; i++) lasting.push_back(numbered("k", 2 * i));
  for (const string& key : lasting) put(key, "1");
  std::atomic<bool> is_over = false;
  std::thread other([&] {
    for (int i = 0; !is_over; i = (i + 1) % 40) {
      EXPECT_OK(store_->put(numbered("k", 2 * i + 1), "1"));
      EXPECT_OK(store_->put(numbered("k", 2 * i), "2"));
      EXPECT_OK(store_->remove(numbered("k", 2 * ((i + 20) % 40) + 1)));
    }
  });
  for (int round = 0; round < 5; round++) {
    const auto seen = keys("k", 1);
    EXPECT_TRUE(std::ranges::is_sorted(seen));
    EXPECT_EQ(std::set<string>(seen.begin(), seen.end()).size(), seen.size());
    EXPECT_TRUE(std::ranges::includes(seen, lasting));
  }
  is_over = true;
  other.join();
}

TEST_P(KvContract, VisitSeesAllPagesAndMayWrite) {
  for (int i = 0; i < 20; i++) put(numbered("k", i), std::to_string(i));
  int sum = 0;
  ASSERT_OK(store_->visit("k", [&](const KvRecord& record) -> Result<void> {
    sum += std::stoi(record.value.bytes);
    TRY_ASSIGN(const bool was_there, store_->remove(record.key));
    EXPECT_TRUE(was_there);
    return {};
  }));
  EXPECT_EQ(sum, 190);
  EXPECT_TRUE(keys("").empty());
  put("k", "1");
  EXPECT_FAULT(store_->visit("",
                             [](const KvRecord&) {
                               return Error{Fault::kBusy, 0, "enough"};
                             }),
               Fault::kBusy);
}

}  // namespace
}  // namespace casdisk
