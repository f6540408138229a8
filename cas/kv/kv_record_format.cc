#include "cas/kv/kv_record_format.h"

#include <fmt/format.h>

#include <algorithm>

namespace casdisk {
namespace {

constexpr std::string_view kNoteMagic = "cdkv";
constexpr uint32_t kNoteForm = 1;

}  // namespace

void encode_kv_header(const KvHeader& header, std::byte* to) {
  store_le(to, header.version);
  store_le(to + 8, header.expires_at_ms);
}

Bytes encode_kv_value(const KvHeader& header, std::string_view value) {
  return ByteWriter(kKvHeaderBytes + value.size())
      .number(header.version)
      .number(header.expires_at_ms)
      .raw(as_bytes(value))
      .take();
}

Result<KvHeader> decode_kv_header(std::span<const std::byte> stored) {
  if (stored.size() < kKvHeaderBytes) {
    return Error{Fault::kDamaged, 0,
                 fmt::format("key-value record: {} bytes, and its header alone has {}",
                             stored.size(), kKvHeaderBytes)};
  }
  return KvHeader{load_le<uint64_t>(stored.data()), load_le<uint64_t>(stored.data() + 8)};
}

Result<KvValue> decode_kv_value(std::span<const std::byte> stored, bool with_bytes) {
  TRY_ASSIGN(const KvHeader header, decode_kv_header(stored));
  KvValue value{{}, header.version, header.expires_at_ms};
  if (with_bytes) {
    value.bytes.assign(reinterpret_cast<const char*>(stored.data()) + kKvHeaderBytes,
                       stored.size() - kKvHeaderBytes);
  }
  return value;
}

Bytes encode_kv_note(uint64_t number) {
  return ByteWriter().raw(as_bytes(kNoteMagic)).number(kNoteForm).number(number).take();
}

Result<uint64_t> decode_kv_note(std::span<const std::byte> stored) {
  ByteReader fields(stored);
  const bool is_ours = std::ranges::equal(fields.raw(kNoteMagic.size()), as_bytes(kNoteMagic));
  const auto form = fields.number<uint32_t>();
  const auto number = fields.number<uint64_t>();
  if (!is_ours || !fields.finished()) {
    return Error{Fault::kDamaged, 0, "key-value store: its note is not one"};
  }
  if (form != kNoteForm) {
    return Error{
        Fault::kUnsupported, 0,
        fmt::format("key-value store: of form {}, and this program knows {}", form, kNoteForm)};
  }
  return number;
}

}  // namespace casdisk
