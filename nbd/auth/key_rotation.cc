#include "nbd/auth/key_rotation.h"

#include <fmt/format.h>

#include "cas/os/file_lock.h"
#include "nbd/auth/access_keys.h"
#include "nbd/auth/access_records.h"
#include "nbd/auth/audit_trail.h"
#include "nbd/auth/private_file.h"
#include "nbd/auth/tokens.h"

namespace casdisk {
namespace {

constexpr access_key::Kind kEncryptedKinds[] = {access_key::Kind::kUser, access_key::Kind::kToken};

// Of those that are not encrypted as new ones are.
Result<std::vector<std::string>> keys_to_encrypt(AccessStore& store,
                                                 const AccessEncryption& encryption) {
  std::vector<std::string> keys;
  for (const access_key::Kind kind : kEncryptedKinds) {
    TRY(store.kv().visit(access_key::all(kind), [&](const KvRecord& record) -> Result<void> {
      TRY_ASSIGN(const Envelope envelope, parse_envelope(record.value.bytes));
      const bool is_new =
          envelope.master_key == encryption.master_key.id && envelope.cipher == encryption.cipher;
      if (!is_new) keys.push_back(record.key);
      return {};
    }));
  }
  return keys;
}

// What it has left to live goes with it.
Result<uint64_t> ttl_of(AccessStore& store, std::string_view key, std::string_view bytes) {
  if (uint8_t(key[0]) != uint8_t(access_key::Kind::kToken)) return uint64_t(0);
  TRY_ASSIGN(const TokenRecord token, decode_token(bytes));
  return store.ttl(token_record_life_ms(token, store.now_ms()));
}

Result<void> encrypt_anew(AccessStore& store, const std::string& key) {
  return store.change([&](AccessBatch& batch) -> Result<void> {
    TRY_ASSIGN(const auto opened, store.get_encrypted(key));
    if (!opened) return {};  // removed meanwhile
    TRY_ASSIGN(const uint64_t ttl_ms, ttl_of(store, key, opened->bytes));
    batch.put_encrypted(key, opened->bytes, ttl_ms);
    batch.plain().require_version(key, opened->version);
    return {};
  });
}

Result<std::shared_ptr<const AccessEncryption>> present_encryption(AccessStore& store) {
  TRY_ASSIGN(auto encryption, store.encryption());
  if (encryption != nullptr) return encryption;
  return Error{
      Fault::kNotFound, 0,
      fmt::format("access store {}: it has no users, and no keys to change", store.kv().name())};
}

// The settings under the newest key, and under the cipher that is wanted.
Result<void> encrypt_settings(AccessStore& store, const MasterKey& newest, Cipher cipher,
                              const std::string& actor) {
  TRY_ASSIGN(const auto encryption, present_encryption(store));
  if (encryption->master_key.id == newest.id && encryption->cipher == cipher) return {};
  KvBatch batch;
  batch.put(access_key::settings(), store.encrypted_settings(*encryption, newest, cipher));
  batch.require_version(access_key::settings(), encryption->settings_version);
  add_event(store, batch,
            {actor, "change master key",
             fmt::format("{} to {}", master_key_name(encryption->master_key.id),
                         master_key_name(newest.id)),
             "done"});
  TRY(store.kv().write(batch));
  return store.reload();
}

Result<MasterKeys> begin(AccessStore& store, KeyRotation& rotation) {
  TRY_ASSIGN(auto keys, store.master_keys());
  TRY(present_encryption(store));
  CHECK(keys);
  rotation.is_resumed = keys->count() > 1;
  if (!rotation.is_resumed) {
    TRY_ASSIGN(*keys, keys->with_new_key());
    TRY(keys->save(store.settings().actual_key_path(), store.settings().files_owner()));
    TRY(store.reload());
  }
  rotation.key = keys->newest().id;
  return std::move(*keys);
}

}  // namespace

Result<KeyRotation> rotate_master_key(AccessStore& store, RotateHow how,
                                      std::optional<Cipher> cipher, const std::string& actor) {
  if (cipher && !is_available(*cipher)) {
    return Error{
        Fault::kUnsupported, 0,
        fmt::format("this processor has no {}: give another cipher", cipher_name(*cipher))};
  }
  // Two at once would each write a file without the other's key.
  const std::string path = store.settings().actual_key_path();
  TRY_ASSIGN(const FileLock lock,
             FileLock::acquire(path + ".lock", "the change of keys in " + path));
  TRY(hand_over(directory_of(path), path.substr(path.rfind('/') + 1) + ".lock"));
  remove_unfinished(path);  // nobody but us replaces the file
  KeyRotation rotation;
  TRY_ASSIGN(const MasterKeys keys, begin(store, rotation));
  if (how == RotateHow::kBegin) return rotation;
  TRY_ASSIGN(const auto before, present_encryption(store));
  TRY(encrypt_settings(store, keys.newest(), cipher.value_or(before->cipher), actor));
  TRY_ASSIGN(const auto encryption, present_encryption(store));
  // Once more after each pass: what somebody encrypted before the settings changed is found by the
  // first, and nobody can encrypt with an old key after that.
  for (;;) {
    TRY_ASSIGN(const auto left, keys_to_encrypt(store, *encryption));
    if (left.empty()) break;
    for (const std::string& key : left) TRY(encrypt_anew(store, key));
    rotation.record_count += left.size();
  }
  TRY(keys.only_newest().save(path, store.settings().files_owner()));
  TRY(store.reload());
  return rotation;
}

}  // namespace casdisk
