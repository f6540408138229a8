#include "nbd/auth/access_records.h"

#include <fmt/format.h>

#include <algorithm>

#include "cas/os/hex.h"
#include "index/name_rules.h"

namespace casdisk {
namespace {

constexpr uint8_t kForm = 1;

// Of a user's flags.
constexpr uint8_t kIsDisabled = 1;
constexpr uint8_t kHasUid = 2;
// Of a token's.
constexpr uint8_t kIsRevoked = 1;

Error damaged(std::string_view record, const char* what) {
  return Error{Fault::kDamaged, 0, fmt::format("record of {}: {}", record, what)};
}

std::string text_of(ByteWriter& writer) {
  Bytes bytes = writer.take();
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  wipe(bytes);
  return text;
}

template <size_t kBytes>
std::array<uint8_t, kBytes> read_array(ByteReader& reader) {
  std::array<uint8_t, kBytes> array = {};
  const auto bytes = reader.raw(kBytes);
  if (!bytes.empty()) std::memcpy(array.data(), bytes.data(), kBytes);
  return array;
}

// Not longer than `most_bytes`: anything else fails like an end that comes too early.
std::optional<std::string> read_text(ByteReader& reader, size_t most_bytes) {
  const auto size = reader.number<uint16_t>();
  if (size > most_bytes) return std::nullopt;
  const auto bytes = reader.raw(size);
  if (reader.failed()) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void write_grants(ByteWriter& writer, const std::vector<Grant>& grants) {
  writer.number(uint8_t(grants.size()));
  for (const Grant& grant : grants) writer.number(grant.scopes).text(grant.pattern);
}

std::optional<std::vector<Grant>> read_grants(ByteReader& reader) {
  const auto count = reader.number<uint8_t>();
  if (count > kMaxGrants) return std::nullopt;
  std::vector<Grant> grants;
  for (size_t i = 0; i < count; i++) {
    Grant grant{.scopes = reader.number<uint8_t>()};
    auto pattern = read_text(reader, kMaxPatternBytes);
    if (!pattern) return std::nullopt;
    grant.pattern = std::move(*pattern);
    if (!is_valid(grant)) return std::nullopt;
    grants.push_back(std::move(grant));
  }
  return grants;
}

}  // namespace

AccessId AccessId::make() {
  AccessId id;
  fill_random(id.bytes);
  return id;
}

std::optional<AccessId> AccessId::parse(std::string_view hex) {
  AccessId id;
  const auto bytes = bytes_of_hex(hex);
  if (!bytes || bytes->size() != id.bytes.size()) return std::nullopt;
  std::memcpy(id.bytes.data(), bytes->data(), bytes->size());
  return id;
}

std::string AccessId::hex() const { return hex_of(std::as_bytes(std::span(bytes))); }

std::string_view AccessId::text() const {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<void> check_user_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
  };
  if (!name.empty() && name.size() <= kMaxUserNameBytes && is_letter_or_digit(name.front()) &&
      std::ranges::all_of(name, is_allowed)) {
    return {};
  }
  return Error{Fault::kInvalid, 0,
               fmt::format("user name {:?}: give 1 to {} letters, digits, '.', '_' and '-', "
                           "beginning with a letter or a digit",
                           name, kMaxUserNameBytes)};
}

Result<void> check_token_label(std::string_view label) {
  const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
  if (label.size() <= kMaxTokenLabelBytes && std::ranges::all_of(label, is_printable)) return {};
  return Error{Fault::kInvalid, 0,
               fmt::format("label {:?}: give at most {} printable characters of ASCII", label,
                           kMaxTokenLabelBytes)};
}

std::string encode_user(const UserRecord& record) {
  ByteWriter writer(1024);
  uint8_t flags = 0;
  if (record.is_disabled) flags |= kIsDisabled;
  if (record.uid) flags |= kHasUid;
  writer.number(kForm)
      .raw(as_bytes(record.id.text()))
      .number(flags)
      .number(record.uid.value_or(0))
      .number(record.created_ms)
      .text(record.name)
      .text(record.password_hash)
      .text(record.psk);
  write_grants(writer, record.grants);
  return text_of(writer);
}

Result<UserRecord> decode_user(std::string_view bytes) {
  constexpr std::string_view kWhat = "a user";
  ByteReader reader(as_bytes(bytes));
  if (reader.number<uint8_t>() != kForm) return damaged(kWhat, "of an unknown form");
  UserRecord record;
  record.id.bytes = read_array<16>(reader);
  const auto flags = reader.number<uint8_t>();
  const auto uid = reader.number<uint32_t>();
  record.created_ms = reader.number<uint64_t>();
  auto name = read_text(reader, kMaxUserNameBytes);
  auto password_hash = name ? read_text(reader, kMaxPasswordHashBytes) : std::nullopt;
  auto psk = password_hash ? read_text(reader, kPskBytes) : std::nullopt;
  auto grants = psk ? read_grants(reader) : std::nullopt;
  if (!grants || !reader.finished()) return damaged(kWhat, "its fields do not fit");
  const bool has_uid = (flags & kHasUid) != 0;
  if ((flags & ~(kIsDisabled | kHasUid)) != 0 || (!has_uid && uid != 0) ||
      !check_user_name(*name).ok() || password_hash->find('\0') != password_hash->npos ||
      (!psk->empty() && psk->size() != kPskBytes)) {
    return damaged(kWhat, "impossible fields");
  }
  record.is_disabled = (flags & kIsDisabled) != 0;
  if (has_uid) record.uid = uid;
  record.name = std::move(*name);
  record.password_hash = std::move(*password_hash);
  record.psk = std::move(*psk);
  record.grants = std::move(*grants);
  return record;
}

std::string encode_token(const TokenRecord& record) {
  ByteWriter writer(512);
  writer.number(kForm)
      .raw(as_bytes(record.id.text()))
      .raw(as_bytes(record.user.text()))
      .number(record.is_revoked ? kIsRevoked : uint8_t(0))
      .number(record.created_ms)
      .number(record.expires_ms)
      .raw(std::as_bytes(std::span(record.hash)))
      .text(record.label);
  write_grants(writer, record.grants);
  return text_of(writer);
}

Result<TokenRecord> decode_token(std::string_view bytes) {
  constexpr std::string_view kWhat = "a token";
  ByteReader reader(as_bytes(bytes));
  if (reader.number<uint8_t>() != kForm) return damaged(kWhat, "of an unknown form");
  TokenRecord record;
  record.id.bytes = read_array<16>(reader);
  record.user.bytes = read_array<16>(reader);
  const auto flags = reader.number<uint8_t>();
  record.created_ms = reader.number<uint64_t>();
  record.expires_ms = reader.number<uint64_t>();
  record.hash = read_array<32>(reader);
  auto label = read_text(reader, kMaxTokenLabelBytes);
  auto grants = label ? read_grants(reader) : std::nullopt;
  if (!grants || !reader.finished()) return damaged(kWhat, "its fields do not fit");
  if ((flags & ~kIsRevoked) != 0 || !check_token_label(*label).ok()) {
    return damaged(kWhat, "impossible fields");
  }
  record.is_revoked = flags != 0;
  record.label = std::move(*label);
  record.grants = std::move(*grants);
  return record;
}

std::string encode_failures(const FailureRecord& record) {
  ByteWriter writer(13);
  writer.number(kForm).number(record.count).number(record.last_ms);
  return text_of(writer);
}

Result<FailureRecord> decode_failures(std::string_view bytes) {
  ByteReader reader(as_bytes(bytes));
  const auto form = reader.number<uint8_t>();
  FailureRecord record;
  record.count = reader.number<uint32_t>();
  record.last_ms = reader.number<uint64_t>();
  if (form != kForm || !reader.finished()) return damaged("failures", "not one");
  return record;
}

std::string encode_time(uint64_t ms) {
  ByteWriter writer(8);
  writer.number(ms);
  return text_of(writer);
}

Result<uint64_t> decode_time(std::string_view bytes) {
  ByteReader reader(as_bytes(bytes));
  const auto ms = reader.number<uint64_t>();
  if (!reader.finished()) return damaged("a last use", "not one");
  return ms;
}

std::string encode_audit(const AuditEntry& entry) {
  ByteWriter writer(256);
  writer.number(kForm).number(entry.left_out_count);
  for (const std::string* text : {&entry.who, &entry.what, &entry.on, &entry.outcome}) {
    writer.text(std::string_view(*text).substr(0, kMaxAuditTextBytes));
  }
  return text_of(writer);
}

Result<AuditEntry> decode_audit(std::string_view bytes) {
  ByteReader reader(as_bytes(bytes));
  if (reader.number<uint8_t>() != kForm) return damaged("an event", "of an unknown form");
  AuditEntry entry;
  entry.left_out_count = reader.number<uint32_t>();
  for (std::string* text : {&entry.who, &entry.what, &entry.on, &entry.outcome}) {
    auto read = read_text(reader, kMaxAuditTextBytes);
    if (!read) return damaged("an event", "its texts do not fit");
    *text = std::move(*read);
  }
  if (!reader.finished()) return damaged("an event", "longer than it says");
  return entry;
}

}  // namespace casdisk
