#include "nbd/auth/master_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "cas/os/hex.h"
#include "nbd/auth/private_file.h"

namespace casdisk {
namespace {

constexpr std::string_view kHead =
    "# Master keys of casdisk: whoever has them can read the records of its users and tokens.\n"
    "# Keep a copy apart from the store; without it those records are lost.\n";

MasterKey key_of(const SecretKey& key) {
  constexpr std::string_view kPurpose = "casdisk master key";
  const KeyedHash hash =
      keyed_hash(key, {reinterpret_cast<const uint8_t*>(kPurpose.data()), kPurpose.size()});
  MasterKey made{.key = key};
  std::copy_n(hash.begin(), made.id.size(), made.id.begin());
  return made;
}

MasterKey new_key() {
  SecretKey key;
  fill_random(key.bytes());
  return key_of(key);
}

Error invalid(std::string text) { return Error{Fault::kInvalid, 0, std::move(text)}; }

std::string_view without_spaces(std::string_view line) {
  const size_t first = line.find_first_not_of(" \t\r");
  if (first == line.npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
}

}  // namespace

std::string master_key_name(const MasterKeyId& id) { return hex_of(std::as_bytes(std::span(id))); }

MasterKeys MasterKeys::make() {
  MasterKeys keys;
  keys.keys_.push_back(new_key());
  return keys;
}

Result<MasterKeys> MasterKeys::parse(std::string_view text) {
  MasterKeys keys;
  size_t line_number = 0;
  while (!text.empty()) {
    line_number++;
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = without_spaces(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    auto bytes = bytes_of_hex(line);
    SecretKey key;
    if (!bytes || bytes->size() != key.bytes().size()) {
      return invalid(fmt::format("line {} is no key: a key is 64 hex digits", line_number));
    }
    std::ranges::transform(*bytes, key.bytes().begin(), [](std::byte b) { return uint8_t(b); });
    wipe(*bytes);
    keys.keys_.push_back(key_of(key));
    if (keys.keys_.size() > kMaxMasterKeys) {
      return invalid(fmt::format("more than {} keys", kMaxMasterKeys));
    }
  }
  if (keys.keys_.empty()) return invalid("there is no key in it");
  return keys;
}

Result<MasterKeys> MasterKeys::load(const std::string& path, const FileOwner& owner) {
  TRY_ASSIGN(std::string text, read_private_file(path, kMaxMasterKeyFileBytes, owner));
  const WipedAtEnd wiped(text);
  auto keys = parse(text);
  if (!keys.ok())
    keys.error().context = path + ": not a file of master keys: " + keys.error().context;
  return keys;
}

std::string MasterKeys::text() const {
  std::string text(kHead);
  text.reserve(kHead.size() + keys_.size() * 65);  // never moved: each key is there once
  for (const MasterKey& key : keys_) {
    std::string hex = hex_of(std::as_bytes(key.key.bytes()));
    const WipedAtEnd wiped(hex);
    text += hex;
    text += '\n';
  }
  return text;
}

Result<void> MasterKeys::save_new(const std::string& path, const FileOwner& owner) const {
  std::string content = text();
  const WipedAtEnd wiped(content);
  return write_private_file(path, content, IfThere::kFail, owner);
}

Result<void> MasterKeys::save(const std::string& path, const FileOwner& owner) const {
  std::string content = text();
  const WipedAtEnd wiped(content);
  return write_private_file(path, content, IfThere::kReplace, owner);
}

const MasterKey* MasterKeys::find(const MasterKeyId& id) const {
  const auto found = std::ranges::find(keys_, id, &MasterKey::id);
  return found == keys_.end() ? nullptr : &*found;
}

Result<MasterKeys> MasterKeys::with_new_key() const {
  if (keys_.size() >= kMaxMasterKeys) {
    return Error{Fault::kLimit, 0, "as many master keys as a file may have", kMaxMasterKeys,
                 keys_.size() + 1};
  }
  MasterKeys more;
  more.keys_.push_back(new_key());
  more.keys_.insert(more.keys_.end(), keys_.begin(), keys_.end());
  return more;
}

MasterKeys MasterKeys::only_newest() const {
  MasterKeys one;
  one.keys_.push_back(keys_.front());
  return one;
}

}  // namespace casdisk
