#include "nbd/auth/access_store.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "cas/kv/kv_open.h"
#include "cas/kv/kv_pause.h"
#include "cas/os/hex.h"
#include "nbd/auth/access_keys.h"
#include "remotes/kv/kv_schemes.h"

namespace casdisk {
namespace {

constexpr uint8_t kSettingsForm = 1;
constexpr size_t kSettingsBytes = 1 + 1 + 32;

// Address space of LMDB: several years of the audit trail of servers under attack.
constexpr uint64_t kCapacityBytes = uint64_t(16) << 30;

// Of what is read while master keys change.
constexpr int kReadTries = 3;

std::string encode_settings(Cipher cipher, const SecretKey& token_key) {
  std::string bytes;
  bytes.reserve(kSettingsBytes);
  bytes += char(kSettingsForm);
  bytes += char(cipher);
  bytes += token_key.text();
  return bytes;
}

Result<void> decode_settings(std::string_view bytes, AccessEncryption& encryption) {
  const bool is_whole = bytes.size() == kSettingsBytes && uint8_t(bytes[0]) == kSettingsForm;
  if (is_whole) encryption.cipher = Cipher(uint8_t(bytes[1]));
  if (!is_whole || (encryption.cipher != Cipher::kXChaCha20Poly1305 &&
                    encryption.cipher != Cipher::kAes256Gcm)) {
    return Error{Fault::kDamaged, 0, "the settings of an access store: of an unknown form"};
  }
  std::ranges::copy(bytes.substr(2), encryption.token_key.bytes().begin());
  return {};
}

Result<void> check_can_hold(KvStore& kv) {
  const KvCapabilities can = kv.capabilities();
  const char* missing = nullptr;
  if (!can.has(KvCapability::kVersions) || !can.has(KvCapability::kBatch)) {
    missing = "it has no versions and batches";
  } else if (!can.has(KvCapability::kDurable)) {
    missing = "it does not make sure that what it acknowledges survives";
  }
  if (missing == nullptr) return {};
  return Error{Fault::kUnsupported, 0,
               fmt::format("access store {}: {}: use another one, such as lmdb:DIRECTORY "
                           "(docs/KV.md says which can do what)",
                           kv.name(), missing)};
}

// Whatever it is and wherever it leads. That it cannot be seen does not mean that it is not there.
Result<bool> is_there(const std::string& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT) return false;
  return os_error(errno, path);
}

// Asked of names, not of what is in them: a store of users that lost its files is an error.
Result<bool> has_users_of_its_own(const AccessSettings& settings) {
  TRY_ASSIGN(const bool has_records, is_there(settings.store_path + "/access"));
  if (has_records) return true;
  const std::string key_path = settings.store_path + "/access.key";
  TRY_ASSIGN(const bool has_key, is_there(key_path));
  if (!has_key) return false;
  return Error{Fault::kInvalid, 0,
               fmt::format("{0}: it is the key of users who are elsewhere, as there is no "
                           "{1}/access: set CASDISK_ACCESS to where they are; if there are none "
                           "any more, remove {0}",
                           key_path, settings.store_path)};
}

}  // namespace

AccessBatch& AccessBatch::put_encrypted(std::string_view key, std::string_view bytes,
                                        uint64_t ttl_ms) {
  batch_.put(key, make_envelope(encryption_.master_key, encryption_.cipher, key, bytes), ttl_ms);
  return *this;
}

AccessStore::AccessStore(std::unique_ptr<KvStore> kv, const AccessSettings& settings)
    : kv_(std::move(kv)), settings_(settings) {}

Result<std::shared_ptr<AccessStore>> AccessStore::open(const AccessSettings& settings,
                                                       MayCreate may_create) {
  if (settings.is_default_url()) {
    TRY_ASSIGN(const bool is_guarded, has_users_of_its_own(settings));
    if (!is_guarded && may_create == MayCreate::kNo) return std::shared_ptr<AccessStore>();
  }
  KvOpenOptions options{.may_create = may_create == MayCreate::kYes,
                        .clock = settings.clock,
                        .capacity_bytes = kCapacityBytes};
  TRY_ASSIGN(auto kv, open_kv(settings.actual_url(), options, all_kv_schemes()));
  TRY(check_can_hold(*kv));
  // Where root made some of it, if only the file of LMDB's locks.
  if (settings.is_default_url()) TRY(hand_over(settings.store_path, "access"));
  return over(std::move(kv), settings, may_create);
}

Result<std::shared_ptr<AccessStore>> AccessStore::over(std::unique_ptr<KvStore> kv,
                                                       const AccessSettings& settings,
                                                       MayCreate may_create) {
  auto store = std::shared_ptr<AccessStore>(new AccessStore(std::move(kv), settings));
  TRY(store->reload());
  if (may_create == MayCreate::kYes && store->state().encryption == nullptr)
    TRY(store->make_settings());
  return store;
}

uint64_t AccessStore::ttl(uint64_t ms) const {
  if (ms == 0 || !kv_->capabilities().has(KvCapability::kTtl)) return 0;
  return ms > kMaxKvTtlMs ? 0 : std::max(ms, kMinKvTtlMs);
}

AccessStore::State AccessStore::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Error AccessStore::key_is_missing(const MasterKeyId& id) const {
  return Error{Fault::kNotFound, 0,
               fmt::format("access store {}: its records need the master key {}, which is not in "
                           "{}: bring that file from where users were added or keys were changed "
                           "last, or name it with CASDISK_MASTER_KEY_FILE",
                           kv_->name(), master_key_name(id), settings_.actual_key_path())};
}

Result<AccessStore::State> AccessStore::read_state() {
  const std::string key = access_key::settings();
  TRY_ASSIGN(const auto value, kv_->get(key));
  State state;
  if (!value) return state;
  TRY_ASSIGN(const Envelope envelope, parse_envelope(value->bytes));
  auto keys = MasterKeys::load(settings_.actual_key_path(), settings_.files_owner());
  if (!keys.ok()) {
    return keys.error().fault == Fault::kNotFound ? key_is_missing(envelope.master_key)
                                                  : std::move(keys.error());
  }
  const MasterKey* master = keys.value().find(envelope.master_key);
  if (master == nullptr) return key_is_missing(envelope.master_key);
  TRY_ASSIGN(std::string bytes, open_envelope(*master, key, envelope));
  const WipedAtEnd wiped(bytes);
  auto encryption = std::make_shared<AccessEncryption>();
  encryption->settings_version = value->version;
  encryption->master_key = *master;
  TRY(decode_settings(bytes, *encryption));
  state.encryption = std::move(encryption);
  state.keys = std::move(keys).value();
  return state;
}

Result<void> AccessStore::reload() {
  auto read = read_state();
  for (int tried = 1; tried < kReadTries && !read.ok(); tried++) {
    // The key may have left the file after the settings were read: then they have another by now.
    if (read.error().fault != Fault::kNotFound) break;
    read = read_state();
  }
  if (!read.ok()) {
    Error error = std::move(read.error());
    if (error.fault == Fault::kDamaged) {
      error.context = fmt::format("access store {}: its settings: {}", kv_->name(), error.context);
    }
    return error;
  }
  const std::lock_guard lock(mutex_);
  state_ = std::move(read).value();
  return {};
}

Result<MasterKeys> AccessStore::load_or_make_keys() const {
  const std::string path = settings_.actual_key_path();
  const FileOwner owner = settings_.files_owner();
  auto keys = MasterKeys::load(path, owner);
  if (keys.ok() || keys.error().fault != Fault::kNotFound) return keys;
  MasterKeys made = MasterKeys::make();
  auto saved = made.save_new(path, owner);
  if (saved.ok()) return made;
  if (saved.error().fault == Fault::kExists) return MasterKeys::load(path, owner);
  return std::move(saved.error());
}

Result<void> AccessStore::make_settings() {
  TRY_ASSIGN(const MasterKeys keys, load_or_make_keys());
  AccessEncryption encryption;
  fill_random(encryption.token_key.bytes());
  const std::string value =
      encrypted_settings(encryption, keys.newest(), Cipher::kXChaCha20Poly1305);
  auto put = kv_->put(access_key::settings(), value, {.if_absent = true});
  if (!put.ok() && put.error().fault != Fault::kConflict) return std::move(put.error());
  return reload();
}

std::string AccessStore::encrypted_settings(const AccessEncryption& encryption,
                                            const MasterKey& key, Cipher cipher) const {
  std::string bytes = encode_settings(cipher, encryption.token_key);
  const WipedAtEnd wiped(bytes);
  return make_envelope(key, cipher, access_key::settings(), bytes);
}

Result<std::shared_ptr<const AccessEncryption>> AccessStore::encryption() {
  auto encryption = state().encryption;
  if (encryption == nullptr) {
    TRY(reload());
    encryption = state().encryption;
  }
  return encryption;
}

Result<std::optional<MasterKeys>> AccessStore::master_keys() {
  TRY(reload());
  return state().keys;
}

Result<DecryptedRecord> AccessStore::open_record(std::string_view key, const KvValue& value) {
  TRY_ASSIGN(const Envelope envelope, parse_envelope(value.bytes));
  State known = state();
  const MasterKey* master = known.keys ? known.keys->find(envelope.master_key) : nullptr;
  if (master == nullptr) {
    TRY(reload());
    known = state();
    master = known.keys ? known.keys->find(envelope.master_key) : nullptr;
  }
  if (master == nullptr) return key_is_missing(envelope.master_key);
  DecryptedRecord record{.version = value.version};
  TRY_ASSIGN(record.bytes, open_envelope(*master, key, envelope));
  return record;
}

Result<std::optional<DecryptedRecord>> AccessStore::get_encrypted(std::string_view key) {
  for (int tried = 1;; tried++) {
    TRY_ASSIGN(const auto value, kv_->get(key));
    if (!value) return std::optional<DecryptedRecord>();
    auto record = open_record(key, *value);
    if (record.ok()) return std::optional<DecryptedRecord>(std::move(record).value());
    // Its master key may have left the file after the value was read: then it has another by now.
    if (record.error().fault == Fault::kNotFound && tried < kReadTries) continue;
    if (record.error().fault == Fault::kDamaged) {
      record.error().context = fmt::format("access store {}: record {}: {}", kv_->name(),
                                           hex_of(as_bytes(key)), record.error().context);
    }
    return std::move(record.error());
  }
}

Result<void> AccessStore::visit_encrypted(std::string_view prefix, const Visit& visit) {
  return kv_->visit(prefix, [&](const KvRecord& stored) -> Result<void> {
    const auto record = open_record(stored.key, stored.value);
    if (record.ok()) return visit(stored.key, record.value());
    TRY_ASSIGN(const auto again, get_encrypted(stored.key));
    return again ? visit(stored.key, *again) : Result<void>();
  });
}

Result<void> AccessStore::change(const Build& build) {
  for (int tried = 0; tried < kMaxKvTries; tried++) {
    pause_before_kv_try(tried);
    TRY_ASSIGN(const auto encryption, encryption());
    if (encryption == nullptr) {
      return Error{
          Fault::kNotFound, 0,
          fmt::format("access store {}: it has no users: `casdisk user add`", kv_->name())};
    }
    AccessBatch batch(*encryption);
    TRY(build(batch));
    batch.plain().require_version(access_key::settings(), encryption->settings_version);
    auto written = kv_->write(batch.plain());
    if (written.ok()) return {};
    if (written.error().fault != Fault::kConflict) return std::move(written.error());
    TRY(reload());
  }
  return Error{Fault::kConflict, 0,
               fmt::format("access store {}: others changed the same {} times: try again",
                           kv_->name(), kMaxKvTries)};
}

}  // namespace casdisk
