// Which backends the key-value contract runs over: one entry each.
#include "cas/kv/hyperv_kv.h"
#include "cas/kv/lmdb_kv.h"
#include "cas/kv/memory_kv.h"
#include "cas/kv/rocksdb_kv.h"
#include "remotes/kv/etcd_kv.h"
#include "remotes/kv/kv_schemes.h"
#include "remotes/kv/redis_kv.h"
#include "remotes/kv/server_url.h"
#include "tests/contract/kv_contract.h"
#include "tests/support/local_server.h"

namespace casdisk {
namespace {

// A store in a server of its own.
class KvServerSubject : public KvSubject {
 public:
  using OpenBackend = std::function<Result<std::unique_ptr<KvBackend>>(const std::string& url)>;
  KvServerSubject(std::unique_ptr<LocalServer> server, OpenBackend open_backend)
      : server_(std::move(server)), open_backend_(std::move(open_backend)) {
    if (!server_->skip_reason().empty()) return;
    EXPECT_OK(server_->start());
  }
  std::string skip_reason() override { return server_->skip_reason(); }
  Result<std::unique_ptr<KvStore>> open(const KvOpenOptions& options) override {
    return open_kv(server_->url(), options, all_kv_schemes());
  }
  std::unique_ptr<KvBackend> open_backend() override {
    auto opened = open_backend_(server_->url());
    EXPECT_OK(opened);
    return opened.ok() ? std::move(opened).value() : nullptr;
  }

 private:
  const std::unique_ptr<LocalServer> server_;
  const OpenBackend open_backend_;
};

Result<std::unique_ptr<KvBackend>> open_redis_backend(const std::string& url) {
  RedisKvOptions options;
  options.address.name = url;
  options.address.socket_path = url.substr(url.find("//") + 2);
  TRY_ASSIGN(std::unique_ptr<KvBackend> backend, RedisKv::open(options));
  return backend;
}

Result<std::unique_ptr<KvBackend>> open_etcd_backend(const std::string& url) {
  TRY_ASSIGN(ServerUrl parts, parse_server_url(url.substr(url.find(':') + 1), 0));
  TRY_ASSIGN(std::unique_ptr<KvBackend> backend,
             EtcdKv::open({.address = {.name = url, .members = parts.servers}}));
  return backend;
}

}  // namespace

std::vector<KvEntry> kv_entries() {
  return {
      {"HypervSafe", HypervKv::kSafeLimits, HypervKv::kCapabilities, /*is_embedded=*/true,
       [](const std::string& directory) {
         return std::make_unique<KvUrlSubject>("hyperv:guest@" + directory, embedded_kv_schemes());
       }},
      {"HypervWire", HypervKv::kWireLimits, HypervKv::kCapabilities, /*is_embedded=*/true,
       [](const std::string& directory) {
         return std::make_unique<KvUrlSubject>("hyperv:0@" + directory + "?limits=wire",
                                               embedded_kv_schemes());
       }},
      {"Lmdb", LmdbKv::kLimits, LmdbKv::kCapabilities, /*is_embedded=*/true,
       [](const std::string& directory) {
         return std::make_unique<KvUrlSubject>("lmdb:" + directory + "/store",
                                               embedded_kv_schemes());
       }},
      {"Memory", MemoryKv::kLimits, MemoryKv::kCapabilities, /*is_embedded=*/false,
       [](const std::string&) {
         return std::make_unique<KvUrlSubject>("memory:", embedded_kv_schemes());
       }},
      {"RocksDb", RocksDbKv::kLimits, RocksDbKv::kCapabilities, /*is_embedded=*/true,
       [](const std::string& directory) {
         return std::make_unique<KvUrlSubject>("rocksdb:" + directory + "/store",
                                               embedded_kv_schemes());
       }},
      {"Redis", RedisKv::kLimits, RedisKv::kCapabilities, /*is_embedded=*/false,
       [](const std::string& directory) {
         return std::make_unique<KvServerSubject>(make_redis_server(directory), open_redis_backend);
       }},
      {"Etcd", EtcdKv::kLimits, EtcdKv::kCapabilities, /*is_embedded=*/false,
       [](const std::string& directory) {
         return std::make_unique<KvServerSubject>(make_etcd_server(directory), open_etcd_backend);
       }},
  };
}

std::vector<KvEntry> kv_entries_that(const std::function<bool(const KvEntry&)>& has) {
  std::vector<KvEntry> entries = kv_entries();
  std::erase_if(entries, [&](const KvEntry& entry) { return !has(entry); });
  return entries;
}

std::vector<KvEntry> kv_entries_with(KvCapabilities all) {
  return kv_entries_that(
      [&](const KvEntry& entry) { return (entry.capabilities.bits & all.bits) == all.bits; });
}

std::string kv_entry_name(const testing::TestParamInfo<KvEntry>& info) { return info.param.name; }

namespace {

auto with(KvCapabilities all) { return testing::ValuesIn(kv_entries_with(all)); }
auto that(bool (*has)(const KvEntry& entry)) { return testing::ValuesIn(kv_entries_that(has)); }

bool expires_by_our_clock(const KvEntry& entry) {
  return entry.capabilities.has(KvCapability::kTtl) &&
         !entry.capabilities.has(KvCapability::kServerClock);
}
bool expires_and_lasts(const KvEntry& entry) {
  return expires_by_our_clock(entry) && entry.capabilities.has(KvCapability::kDurable);
}
bool has_binary_keys(const KvEntry& entry) { return !entry.limits.is_text; }
bool holds_few_keys(const KvEntry& entry) { return entry.limits.record_count != 0; }

using enum KvCapability;
INSTANTIATE_TEST_SUITE_P(All, KvContract, testing::ValuesIn(kv_entries()), kv_entry_name);
INSTANTIATE_TEST_SUITE_P(All, KvVersions, with(kVersions), kv_entry_name);
INSTANTIATE_TEST_SUITE_P(All, KvBatches, with(kBatch), kv_entry_name);
INSTANTIATE_TEST_SUITE_P(All, KvDurable, with(kDurable), kv_entry_name);
INSTANTIATE_TEST_SUITE_P(All, KvShared, with(kShared | kDurable), kv_entry_name);
INSTANTIATE_TEST_SUITE_P(All, KvServerClock, with(kServerClock), kv_entry_name);
INSTANTIATE_TEST_SUITE_P(All, KvExpiry, that(expires_by_our_clock), kv_entry_name);
INSTANTIATE_TEST_SUITE_P(All, KvLastingExpiry, that(expires_and_lasts), kv_entry_name);
INSTANTIATE_TEST_SUITE_P(All, KvBinaryKeys, that(has_binary_keys), kv_entry_name);
INSTANTIATE_TEST_SUITE_P(All, KvFewKeys, that(holds_few_keys), kv_entry_name);

}  // namespace
}  // namespace casdisk
