// AccessStore: where records of users and tokens are kept: a key-value store, and the master keys
// that encrypted records need.
//
// One record, the settings, says which master key and which cipher new records are encrypted with.
// Every change that encrypts something is made on the condition that the settings are as they were
// when that was done; so a change of keys (key_rotation.h) finds every record. Master keys are read
// from their file when the store is opened, and again when a record names one that is not known.
//
// Open it after fork. Safe to call from any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "cas/kv/kv_store.h"
#include "nbd/auth/access_settings.h"
#include "nbd/auth/envelope.h"
#include "nbd/auth/master_keys.h"

namespace casdisk {

// What an encrypted record has in it.
struct DecryptedRecord {
  std::string bytes;  // secret
  uint64_t version = 0;

  ~DecryptedRecord() { wipe(bytes); }
};

// What a store's records are encrypted with, and what is fixed for them.
struct AccessEncryption {
  uint64_t settings_version = 0;
  MasterKey master_key;
  Cipher cipher = Cipher::kXChaCha20Poly1305;
  SecretKey token_key;  // that secrets of tokens are hashed under; never changes
};

// A change being made: operations and conditions, and records that it encrypts.
class AccessBatch {
 public:
  explicit AccessBatch(const AccessEncryption& encryption) : encryption_(encryption) {}

  KvBatch& plain() { return batch_; }
  AccessBatch& put_encrypted(std::string_view key, std::string_view bytes, uint64_t ttl_ms = 0);
  const AccessEncryption& encryption() const { return encryption_; }

 private:
  const AccessEncryption& encryption_;
  KvBatch batch_;
};

class AccessStore {
 public:
  enum class MayCreate { kNo, kYes };

  // At settings.actual_url(). With kNo null where the settings name no URL and neither the
  // default's directory nor its file of master keys is there: the store has no users. kInvalid
  // where the file alone is: its users are elsewhere. With kYes makes what is missing: the store,
  // the file of master keys, the settings. Errors say what to do.
  static Result<std::shared_ptr<AccessStore>> open(const AccessSettings& settings,
                                                   MayCreate may_create);
  // The same over a store that is open already, durable or not.
  static Result<std::shared_ptr<AccessStore>> over(std::unique_ptr<KvStore> kv,
                                                   const AccessSettings& settings,
                                                   MayCreate may_create);

  const AccessSettings& settings() const { return settings_; }
  KvStore& kv() { return *kv_; }
  const std::string& name() const { return kv_->name(); }  // without a password
  uint64_t now_ms() const { return settings_.clock(); }
  // As a TTL that the store takes; 0, for ever, where it has none.
  uint64_t ttl(uint64_t ms) const;

  // What new records are encrypted with now. Null: there are no settings yet, hence no records.
  Result<std::shared_ptr<const AccessEncryption>> encryption();

  // kNotFound: it is encrypted with a master key that is not in the file. kDamaged.
  Result<std::optional<DecryptedRecord>> get_encrypted(std::string_view key);
  // All of a prefix, in key order.
  using Visit = std::function<Result<void>(std::string_view key, const DecryptedRecord& record)>;
  Result<void> visit_encrypted(std::string_view prefix, const Visit& visit);

  // Makes a change: `build` reads what it depends on, adds operations and conditions, or fails with
  // what the caller is to hear. It is called again whenever one of the conditions did not hold.
  // kNotFound: there are no settings yet. kConflict after kMaxKvTries.
  using Build = std::function<Result<void>(AccessBatch& batch)>;
  Result<void> change(const Build& build);

  // Reads master keys and settings again.
  Result<void> reload();
  Result<std::optional<MasterKeys>> master_keys();
  // The settings' value under another key and cipher. REQUIRES: encryption() is not null.
  std::string encrypted_settings(const AccessEncryption& encryption, const MasterKey& key,
                                 Cipher cipher) const;

 private:
  struct State {
    std::optional<MasterKeys> keys;
    std::shared_ptr<const AccessEncryption> encryption;
  };
  AccessStore(std::unique_ptr<KvStore> kv, const AccessSettings& settings);
  Result<void> make_settings();
  Result<MasterKeys> load_or_make_keys() const;
  Result<State> read_state();
  State state() const;
  Error key_is_missing(const MasterKeyId& id) const;
  Result<DecryptedRecord> open_record(std::string_view key, const KvValue& value);

  // Fixed after construction.
  const std::unique_ptr<KvStore> kv_;
  const AccessSettings settings_;

  mutable std::mutex mutex_;
  State state_;  // guarded by mutex_
};

}  // namespace casdisk
