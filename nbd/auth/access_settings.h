// Where a store's users and tokens are, and how they are kept.
#pragma once

#include <string>

#include "cas/kv/kv_types.h"
#include "nbd/auth/file_owner.h"
#include "nbd/auth/password.h"

namespace casdisk {

inline constexpr uint64_t kUsualAuditTtlMs = uint64_t(90) * 86400 * 1000;

struct AccessSettings {
  std::string store_path;  // of the disks
  std::string url;         // of the key-value store; empty: lmdb:STORE/access
  std::string key_path;    // of the master keys; empty: STORE/access.key

  // For how long the audit trail keeps an entry, where the key-value store has TTLs; 0: for ever.
  uint64_t audit_ttl_ms = kUsualAuditTtlMs;
  PasswordCost password_cost = kUsualPasswordCost;
  KvClock clock = system_kv_clock;

  bool is_default_url() const { return url.empty(); }
  std::string actual_url() const;
  std::string actual_key_path() const;
  FileOwner files_owner() const { return owner_of_files_in(store_path); }
};

// With `url` where it is not empty, else $CASDISK_ACCESS; $CASDISK_MASTER_KEY_FILE for the keys.
AccessSettings access_settings(const std::string& store_path, const std::string& url);

}  // namespace casdisk
