// Opening a key-value store by its URL: "lmdb:/var/lib/casdisk/kv", "memory:".
//
// A table says which schemes there are. The embedded ones are here; who has more (remotes/ has
// those with servers) passes a longer table down. Nothing registers itself.
#pragma once

#include <memory>

#include "cas/kv/kv_store.h"

namespace casdisk {

enum class KvDurability {
  kPower,  // what a write acknowledged survives the power, where the backend has kDurable
  // It survives the process. After a power cut an embedded store may be damaged: for what can be
  // made again.
  kProcess,
};

struct KvOpenOptions {
  bool may_create = true;           // else kNotFound where the store does not exist yet
  KvClock clock = system_kv_clock;  // that expiry goes by, unless the backend has kServerClock
  uint64_t capacity_bytes = uint64_t(1) << 30;  // of LMDB: the most that it will ever hold
  // Whoever opens it only removes: an LMDB store that is full is given the room that this takes.
  bool is_to_remove = false;
  uint64_t cache_bytes = uint64_t(64) << 20;  // of RocksDB: of its files in memory
  KvDurability durability = KvDurability::kPower;
  std::function<void(const KvTiming&)> on_operation = nullptr;
};

// A URL, its scheme cut off.
struct KvUrl {
  std::string whole;  // without its password: what errors name
  std::string rest;   // all behind the first colon
};

struct KvScheme {
  using Open = std::function<Result<std::unique_ptr<KvStore>>(const KvUrl& url,
                                                              const KvOpenOptions& options)>;
  std::string_view name;    // "lmdb"
  std::string_view usage;   // "lmdb:DIRECTORY"
  std::string_view remedy;  // what to check when such a store does not open
  Open open;
};

// The door of a module that has stores of one scheme (cas/os/module.h).
struct KvDoor {
  Result<std::unique_ptr<KvStore>> (*open)(const KvUrl& url, const KvOpenOptions& options);
};
KvScheme::Open open_by_module(const char* module);

// Those that need no server.
std::span<const KvScheme> embedded_kv_schemes();

// An error names the store, what failed, and the remedy. kInvalid, with the known schemes, when the
// URL has another one.
Result<std::unique_ptr<KvStore>> open_kv(std::string_view url, const KvOpenOptions& options,
                                         std::span<const KvScheme> schemes);

// "redis://user:***@host/": as it may be shown.
std::string shown_kv_url(std::string_view url);

}  // namespace casdisk
