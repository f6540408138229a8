#include "cas/kv/kv_open.h"

#include <fmt/format.h>

#include <algorithm>

#include "cas/kv/hyperv_kv.h"
#include "cas/kv/lmdb_kv.h"
#include "cas/kv/memory_kv.h"
#include "cas/os/module.h"

namespace casdisk {
namespace {

Result<std::unique_ptr<KvStore>> open_memory(const KvUrl& url, const KvOpenOptions& options) {
  if (!url.rest.empty()) return Error{Fault::kInvalid, 0, "there is nothing behind the colon"};
  return KvStore::over(std::make_unique<MemoryKv>(options.clock),
                       {.name = url.whole, .on_operation = options.on_operation});
}

Result<std::unique_ptr<KvStore>> open_hyperv(const KvUrl& url, const KvOpenOptions& options) {
  TRY_ASSIGN(const HypervLocation location, parse_hyperv_location(url.rest));
  TRY_ASSIGN(auto backend, HypervKv::open(location, {.may_create = options.may_create}));
  return std::make_unique<KvStore>(
      std::move(backend), HypervKv::limits_of(location.limits), HypervKv::kCapabilities,
      KvStoreSettings{.name = url.whole, .on_operation = options.on_operation});
}

Result<std::unique_ptr<KvStore>> open_lmdb(const KvUrl& url, const KvOpenOptions& options) {
  if (url.rest.empty()) return Error{Fault::kInvalid, 0, "there is no path behind the colon"};
  const bool survives_power = options.durability == KvDurability::kPower;
  const LmdbSync sync = survives_power ? LmdbSync::kEachCommit : LmdbSync::kAtClose;
  TRY_ASSIGN(auto backend, LmdbKv::open(url.rest, {.may_create = options.may_create,
                                                   .clock = options.clock,
                                                   .capacity_bytes = options.capacity_bytes,
                                                   .is_to_remove = options.is_to_remove,
                                                   .sync = sync}));
  return KvStore::over(std::move(backend),
                       {.name = url.whole, .on_operation = options.on_operation});
}

std::string usages(std::span<const KvScheme> schemes) {
  std::string text;
  for (const KvScheme& scheme : schemes) {
    if (!text.empty()) text += ", ";
    text += scheme.usage;
  }
  return text;
}

}  // namespace

KvScheme::Open open_by_module(const char* module) {
  return
      [module](const KvUrl& url, const KvOpenOptions& options) -> Result<std::unique_ptr<KvStore>> {
        TRY_ASSIGN(const auto* const door, door_of<KvDoor>(module));
        return door->open(url, options);
      };
}

std::span<const KvScheme> embedded_kv_schemes() {
  static const KvScheme kSchemes[] = {
      {"hyperv", "hyperv:POOL[@DIR][?limits=wire]",
       "the pool's directory must exist: in a guest of Hyper-V hv_kvp_daemon makes /var/lib/hyperv",
       open_hyperv},
      {"lmdb", "lmdb:DIRECTORY",
       "the directory above it must exist, on a local file system, and this user may write there",
       open_lmdb},
      {"memory", "memory:", "write it as memory:", open_memory},
      {"rocksdb", "rocksdb:DIRECTORY",
       "the directory above it must exist, on a local file system, this user may write there, and "
       "no "
       "other process has the store",
       open_by_module("casdisk-rocksdb")},
  };
  return kSchemes;
}

// It rather hides too much than too little: a slash that should have been %2F, and slashes that are
// missing, bring no password to light.
std::string shown_kv_url(std::string_view url) {
  const size_t scheme_end = url.find(':');
  for (const KvScheme& scheme : embedded_kv_schemes()) {  // which have none
    if (scheme.name == url.substr(0, scheme_end)) return std::string(url);
  }
  if (scheme_end == url.npos) return std::string(url);
  const size_t begin = std::min(url.find_first_not_of('/', scheme_end + 1), url.size());
  size_t colon = url.find(':', begin);
  if (colon == url.npos && begin == scheme_end + 1) colon = scheme_end;
  size_t at = url.substr(0, url.find('?')).rfind('@');
  if (at == url.npos) {
    const size_t end = std::min(url.find_first_of("/?", begin), url.size());
    const bool is_port = begin < colon && colon < end &&
                         std::min(url.find_first_not_of("0123456789", colon + 1), end) == end;
    at = is_port ? url.npos : url.rfind('@');
  }
  if (colon == url.npos || at == url.npos || at < colon) return std::string(url);
  return fmt::format("{}:***{}", url.substr(0, colon), url.substr(at));
}

Result<std::unique_ptr<KvStore>> open_kv(std::string_view url, const KvOpenOptions& options,
                                         std::span<const KvScheme> schemes) {
  const size_t colon = url.find(':');
  const std::string shown = shown_kv_url(url);
  for (const KvScheme& scheme : schemes) {
    if (colon == url.npos || url.substr(0, colon) != scheme.name) continue;
    auto store = scheme.open({shown, std::string(url.substr(colon + 1))}, options);
    if (store.ok()) return store;
    Error error = std::move(store.error());
    error.context = fmt::format("key-value store {}: it cannot be opened ({}): {}", shown,
                                scheme.remedy, error.context);
    return error;
  }
  return Error{Fault::kInvalid, 0,
               fmt::format("key-value store {}: no such kind of store; known are {}", shown,
                           usages(schemes))};
}

}  // namespace casdisk
