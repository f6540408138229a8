// Master keys: what data keys are encrypted with, kept in a file and never in a key-value store.
//
// The file is text: a line of 64 hex digits for each key, the newest first; '#' begins a comment.
// It has several while the keys are being changed. It belongs to this user or to root, and nobody
// else may read it. A plain value.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "cas/os/result.h"
#include "nbd/auth/crypto.h"
#include "nbd/auth/file_owner.h"

namespace casdisk {

// Made of the key itself: which key something is encrypted with, without saying the key.
using MasterKeyId = std::array<uint8_t, 8>;
std::string master_key_name(const MasterKeyId& id);  // in hex

struct MasterKey {
  MasterKeyId id = {};
  SecretKey key;
};

inline constexpr size_t kMaxMasterKeys = 16;
inline constexpr size_t kMaxMasterKeyFileBytes = 8192;

class MasterKeys {
 public:
  // One new key.
  static MasterKeys make();
  // kNotFound; kInvalid where others may read it, or for what is no such file. `owner`: of
  // read_private_file(), and below of write_private_file().
  static Result<MasterKeys> load(const std::string& path, const FileOwner& owner = {});
  // What load() makes of a file's text.
  static Result<MasterKeys> parse(std::string_view text);

  // Makes the file, and never over one that is there: kExists. Durable.
  Result<void> save_new(const std::string& path, const FileOwner& owner = {}) const;
  // Puts these into the file's place, in one step. Durable.
  Result<void> save(const std::string& path, const FileOwner& owner = {}) const;

  const MasterKey* find(const MasterKeyId& id) const;
  const MasterKey& newest() const { return keys_.front(); }
  size_t count() const { return keys_.size(); }

  // With one more, which is the newest. kLimit when there are as many as there may be.
  Result<MasterKeys> with_new_key() const;
  MasterKeys only_newest() const;

 private:
  std::string text() const;

  std::vector<MasterKey> keys_;  // at least one
};

}  // namespace casdisk
