// What the files of the key-value contract share: the fixture, and how a backend comes under test.
//
// A backend is one entry in kv_entries.cc. What it needs, a server on loopback for instance, its
// KvSubject starts in its constructor and ends in its destructor; one subject per test.
// KvContract runs over all of them; the other suites each over those that have what the suite is
// about (kv_suites_contract.cc sees to it that they do).
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "cas/kv/kv_open.h"
#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {

// One store under test.
class KvSubject {
 public:
  virtual ~KvSubject() = default;
  // Why it cannot be tested here ("redis-server is not installed"); empty: it can.
  virtual std::string skip_reason() { return {}; }
  // The same store at each call. Not while the one before lives, unless the backend has kShared.
  virtual Result<std::unique_ptr<KvStore>> open(const KvOpenOptions& options) = 0;
  // For kServerClock: without the front, so that a TTL may be shorter than its least.
  virtual std::unique_ptr<KvBackend> open_backend() { return nullptr; }
};

struct KvEntry {
  std::string name;
  KvLimits limits;
  KvCapabilities capabilities;
  bool is_embedded;  // its files are in the directory that `make` is given
  std::function<std::unique_ptr<KvSubject>(const std::string& directory)> make;
};

std::vector<KvEntry> kv_entries();
std::vector<KvEntry> kv_entries_that(const std::function<bool(const KvEntry&)>& has);
// Those with all of these capabilities.
std::vector<KvEntry> kv_entries_with(KvCapabilities all);
std::string kv_entry_name(const testing::TestParamInfo<KvEntry>& info);

// A store that a URL names.
class KvUrlSubject : public KvSubject {
 public:
  KvUrlSubject(std::string url, std::span<const KvScheme> schemes)
      : url_(std::move(url)), schemes_(schemes) {}
  Result<std::unique_ptr<KvStore>> open(const KvOpenOptions& options) override {
    return open_kv(url_, options, schemes_);
  }

 private:
  const std::string url_;
  const std::span<const KvScheme> schemes_;
};

class KvContract : public testing::TestWithParam<KvEntry> {
 public:
  void SetUp() override {
    subject_ = GetParam().make(directory_.path());
    if (const std::string reason = subject_->skip_reason(); !reason.empty()) GTEST_SKIP() << reason;
    reopen();
  }

 protected:
  bool can(KvCapability one) const { return GetParam().capabilities.has(one); }
  const KvLimits& limits() const { return GetParam().limits; }

  KvOpenOptions options() {
    KvOpenOptions options;
    options.clock = [this] { return now_ms_.load(); };
    return options;
  }
  void reopen() {
    store_.reset();
    auto opened = subject_->open(options());
    ASSERT_OK(opened);
    store_ = std::move(opened).value();
  }

  // The value, or "(none)".
  std::string get(std::string_view key) {
    auto value = store_->get(key);
    EXPECT_OK(value);
    return value.ok() && value.value() ? value.value()->bytes : "(none)";
  }
  uint64_t version_of(std::string_view key) {
    auto value = store_->get(key);
    EXPECT_OK(value);
    EXPECT_TRUE(value.ok() && value.value());
    return value.ok() && value.value() ? value.value()->version : 0;
  }
  void put(std::string_view key, std::string_view value) { EXPECT_OK(store_->put(key, value)); }

  // Every key under the prefix, page by page.
  std::vector<std::string> keys(std::string_view prefix, size_t limit_count = kMaxKvPageCount) {
    std::vector<std::string> found;
    KvListOptions list{.limit_count = limit_count, .with_values = false};
    do {
      auto page = store_->list(prefix, list);
      EXPECT_OK(page);
      if (!page.ok()) break;
      EXPECT_LE(page.value().records.size(), limit_count);
      if (page.value().records.empty()) {
        EXPECT_FALSE(page.value().cursor);
      }
      for (KvRecord& record : page.value().records) found.push_back(std::move(record.key));
      list.cursor = page.value().cursor;
    } while (list.cursor);
    return found;
  }
  std::vector<std::pair<std::string, std::string>> dumped() {
    std::vector<std::pair<std::string, std::string>> records;
    EXPECT_OK(store_->dump([&](const KvRecord& record) -> Result<void> {
      records.emplace_back(record.key, record.value.bytes);
      return {};
    }));
    return records;
  }

  TemporaryDirectory directory_;
  std::atomic<uint64_t> now_ms_ = 1'700'000'000'000;
  std::unique_ptr<KvSubject> subject_;
  std::unique_ptr<KvStore> store_;
};

class KvVersions : public KvContract {};    // kVersions
class KvBatches : public KvContract {};     // kBatch
class KvDurable : public KvContract {};     // kDurable
class KvShared : public KvContract {};      // kShared and kDurable
class KvBinaryKeys : public KvContract {};  // keys that are bytes, not text
class KvFewKeys : public KvContract {};     // KvLimits::record_count

// With the clock of the test (kTtl without kServerClock).
class KvExpiry : public KvContract {
 protected:
  static constexpr uint64_t kTtlMs = kMinKvTtlMs;
  void put_for_a_while(std::string_view key, std::string_view value) {
    ASSERT_OK(store_->put(key, value, {.ttl_ms = kTtlMs}));
  }
};
class KvLastingExpiry : public KvExpiry {};  // and kDurable
class KvServerClock : public KvContract {};  // kServerClock

}  // namespace casdisk
