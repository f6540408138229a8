// What every key-value store must do with single records.
#include <set>

#include "tests/contract/kv_contract.h"

namespace casdisk {
namespace {

using std::string;
using std::string_literals::operator""s;

TEST_P(KvContract, PutGetOverwriteRemove) {
  EXPECT_EQ(get("a"), "(none)");
  put("a", "1");
  EXPECT_EQ(get("a"), "1");
  put("a", "22");
  EXPECT_EQ(get("a"), "22");
  put("a", "3");  // shorter: nothing of the old one shows
  EXPECT_EQ(get("a"), "3");
  auto removed = store_->remove("a");
  ASSERT_OK(removed);
  EXPECT_TRUE(removed.value());
  EXPECT_EQ(get("a"), "(none)");
  removed = store_->remove("a");
  ASSERT_OK(removed);
  EXPECT_FALSE(removed.value());
}

TEST_P(KvContract, AnEmptyValueIsAValue) {
  put("a", "");
  EXPECT_EQ(get("a"), "");
  auto is_there = store_->exists("a");
  ASSERT_OK(is_there);
  EXPECT_TRUE(is_there.value());
  EXPECT_EQ(keys(""), std::vector<string>{"a"});
  is_there = store_->exists("b");
  ASSERT_OK(is_there);
  EXPECT_FALSE(is_there.value());
}

TEST_P(KvContract, KeysAreBytesAndOrderedAsSuch) {
  std::vector<string> all = {"A", "a", "a!", "a/b", "ab", "b", "\u00e4", "\u65e5\u672c"};
  if (!limits().is_text) {
    all = {"\0"s,    "\0\0"s, "\0a"s, "\1",   "A",    "a",       "a\0"s,    "a\0b"s,
           "a\xff"s, "b",     "\x7f", "\x80", "\xff", "\xff\0"s, "\xff\xff"};
  }
  for (auto key = all.rbegin(); key != all.rend(); ++key) put(*key, "value of " + *key);
  EXPECT_EQ(keys(""), all);
  for (const string& key : all) EXPECT_EQ(get(key), "value of " + key);
}

TEST_P(KvContract, ValuesAreBytes) {
  string value;
  for (int i = limits().is_text ? 1 : 0; i < 256; i++) value += char(i);
  if (limits().is_text) value = "\u00e4\u65e5 \n\t\"\\";
  put("a", value);
  EXPECT_EQ(get("a"), value);
}

TEST_P(KvContract, ALimitIsReachedAndNotPassed) {
  const string longest_key(limits().key_bytes, 'k');
  const string largest(limits().value_bytes, 'v');
  put(longest_key, "1");
  EXPECT_EQ(get(longest_key), "1");
  put("a", largest);
  EXPECT_TRUE(get("a") == largest);
  put(longest_key, largest);
  EXPECT_TRUE(get(longest_key) == largest);

  auto refused = store_->put(longest_key + "k", "1");
  EXPECT_FAULT(refused, Fault::kTooLarge);
  EXPECT_EQ(refused.error().max, limits().key_bytes);
  EXPECT_EQ(refused.error().actual, limits().key_bytes + 1);
  refused = store_->put("a", largest + "v");
  EXPECT_FAULT(refused, Fault::kTooLarge);
  EXPECT_EQ(refused.error().max, limits().value_bytes);
  EXPECT_EQ(refused.error().actual, limits().value_bytes + 1);
  EXPECT_EQ(refused.error().context.find("vvv"), string::npos);
  EXPECT_TRUE(get("a") == largest);
}

// What was written under larger limits can be looked for, and removed.
TEST_P(KvContract, AKeyThatIsTooLongIsNotThere) {
  put("kkkk", "1");
  for (const size_t more : {size_t(1), size_t(600), size_t(10'000)}) {
    const string key(limits().key_bytes + more, 'k');
    EXPECT_EQ(get(key), "(none)");
    auto removed = store_->remove(key);
    ASSERT_OK(removed);
    EXPECT_FALSE(removed.value());
    EXPECT_TRUE(keys(key).empty());
  }
  EXPECT_FAULT(store_->get(string(kMaxSoughtKeyBytes + 1, 'k')), Fault::kTooLarge);
}

TEST_P(KvContract, WhatNoStoreHoldsIsRefused) {
  EXPECT_FAULT(store_->put("", "1"), Fault::kInvalid);
  EXPECT_FAULT(store_->get(""), Fault::kInvalid);
  EXPECT_FAULT(store_->exists(""), Fault::kInvalid);
  EXPECT_FAULT(store_->remove(""), Fault::kInvalid);
  const std::vector<string> with_an_empty_one = {"a", ""};
  put("a", "1");
  EXPECT_FAULT(store_->remove_many(with_an_empty_one), Fault::kInvalid);
  EXPECT_EQ(get("a"), "1");
  if (!limits().is_text) return;
  EXPECT_FAULT(store_->put("a\0b"s, "1"), Fault::kInvalid);
  EXPECT_FAULT(store_->put("a", "secret\0b"s), Fault::kInvalid);
  EXPECT_FAULT(store_->get("a\0b"s), Fault::kInvalid);
  EXPECT_EQ(get("a"), "1");
}

TEST_P(KvContract, PartsOfAValue) {
  put("a", "0123456789");
  const auto part = [&](uint64_t offset, size_t bytes) {
    auto value = store_->get_range("a", offset, bytes);
    EXPECT_OK(value);
    return value.ok() && value.value() ? value.value()->bytes : "(none)";
  };
  EXPECT_EQ(part(0, 3), "012");
  EXPECT_EQ(part(7, 100), "789");
  EXPECT_EQ(part(10, 1), "");
  EXPECT_EQ(part(~uint64_t(0), 1), "");
  auto missing = store_->get_range("b", 0, 1);
  ASSERT_OK(missing);
  EXPECT_FALSE(missing.value());
}

TEST_P(KvContract, RemoveManyCountsWhatWasThere) {
  std::vector<string> some;
  for (int i = 0; i < 300; i++) {
    some.push_back("k" + std::to_string(i));
    if (i % 3 == 0) put(some.back(), "1");
  }
  put("other", "1");
  some.push_back("k0");  // twice
  auto count = store_->remove_many(some);
  ASSERT_OK(count);
  EXPECT_EQ(count.value(), 100u);
  EXPECT_EQ(keys(""), std::vector<string>{"other"});
  count = store_->remove_many({});
  ASSERT_OK(count);
  EXPECT_EQ(count.value(), 0u);
}

TEST_P(KvContract, PutIfAbsent) {
  ASSERT_OK(store_->put("a", "1", {.if_absent = true}));
  EXPECT_FAULT(store_->put("a", "2", {.if_absent = true}), Fault::kConflict);
  EXPECT_EQ(get("a"), "1");
  ASSERT_OK(store_->remove("a"));
  ASSERT_OK(store_->put("a", "3", {.if_absent = true}));
  EXPECT_EQ(get("a"), "3");
}

TEST_P(KvContract, PutAndRemoveIfVersion) {
  if (!can(KvCapability::kVersions)) {
    put("a", "1");
    EXPECT_FAULT(store_->put("a", "2", {.if_version = 1}), Fault::kUnsupported);
    EXPECT_FAULT(store_->remove("a", 1), Fault::kUnsupported);
    EXPECT_EQ(get("a"), "1");
    return;
  }
  auto first = store_->put("a", "1");
  ASSERT_OK(first);
  EXPECT_EQ(version_of("a"), first.value());
  auto second = store_->put("a", "2", {.if_version = first.value()});
  ASSERT_OK(second);
  EXPECT_NE(second.value(), first.value());
  EXPECT_FAULT(store_->put("a", "3", {.if_version = first.value()}), Fault::kConflict);
  EXPECT_FAULT(store_->remove("a", first.value()), Fault::kConflict);
  EXPECT_EQ(get("a"), "2");
  auto removed = store_->remove("a", second.value());
  ASSERT_OK(removed);
  EXPECT_TRUE(removed.value());
  EXPECT_FAULT(store_->put("a", "3", {.if_version = second.value()}), Fault::kConflict);
  EXPECT_FAULT(store_->remove("a", second.value()), Fault::kConflict);
  EXPECT_EQ(get("a"), "(none)");
}

// The same value, or one that was removed and made again, is another version; so is what a load or
// a truncation made anew, and what a later process writes.
TEST_P(KvVersions, AVersionNeverComesBack) {
  std::set<uint64_t> seen;
  const auto put_once_more = [&] {
    put("a", "1");
    EXPECT_TRUE(seen.insert(version_of("a")).second);
    put("a", "1");
    EXPECT_TRUE(seen.insert(version_of("a")).second);
  };
  for (int i = 0; i < 3; i++) {
    put_once_more();
    ASSERT_OK(store_->remove("a"));
    put_once_more();
    ASSERT_OK(store_->truncate());
    put_once_more();
    const KvRecord record{"a", {"1"}};
    if (can(KvCapability::kLoad)) {
      ASSERT_OK(store_->load({&record, 1}));
      EXPECT_TRUE(seen.insert(version_of("a")).second);
    }
    if (can(KvCapability::kCompact)) {
      ASSERT_OK(store_->compact());
      put_once_more();
    }
    ASSERT_OK(store_->remove("a"));
    if (can(KvCapability::kDurable)) reopen();
  }
}

}  // namespace
}  // namespace casdisk
