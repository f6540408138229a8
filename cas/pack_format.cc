#include "cas/pack_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "cas/crc32c.h"

namespace casdisk {

namespace {

constexpr std::string_view kPackMagic = "CASDPACK";
constexpr std::string_view kRecordMagic = "CDRC";
constexpr std::string_view kPackSuffix = ".pack";
constexpr size_t kHeaderChecksumOffset = 48;

Error damaged(std::string what) { return Error{Fault::kDamaged, 0, std::move(what)}; }

bool equal(std::span<const std::byte> bytes, std::string_view text) {
  return std::ranges::equal(bytes, as_bytes(text));
}

size_t checksum_count_of(Codec codec, size_t stored_bytes) {
  return codec == Codec::kNone ? (stored_bytes + kBlockBytes - 1) / kBlockBytes : 1;
}

std::span<const std::byte> block_of(std::span<const std::byte> payload, Codec codec, size_t i) {
  if (codec != Codec::kNone) return payload;
  const size_t offset = i * kBlockBytes;
  return payload.subspan(offset, std::min<size_t>(kBlockBytes, payload.size() - offset));
}

// The checksums follow the bytes that the header's own checksum begins with, but for that one.
uint32_t header_checksum(std::span<const std::byte> record, size_t payload_offset) {
  Bytes covered(record.begin(), record.begin() + kHeaderChecksumOffset);
  covered.insert(covered.end(), record.begin() + kRecordHeaderBytes,
                 record.begin() + ptrdiff_t(payload_offset));
  return crc32c(covered);
}

bool is_consistent(uint8_t kind, uint8_t codec, const RecordHeader& header) {
  if (kind < uint8_t(ObjectKind::kChunk) || kind > uint8_t(ObjectKind::kCheckpoint)) return false;
  if (codec > uint8_t(Codec::kZstd)) return false;
  if (header.plain_bytes == 0 || header.plain_bytes > kMaxObjectBytes) return false;
  if (header.kind == ObjectKind::kChunk && header.plain_bytes != kChunkBytes) return false;
  const bool fits = header.codec == Codec::kNone ? header.stored_bytes == header.plain_bytes
                                                 : header.stored_bytes < header.plain_bytes;
  return fits && header.stored_bytes > 0 &&
         header.checksum_count == checksum_count_of(header.codec, header.stored_bytes);
}

}  // namespace

std::string pack_file_name(uint64_t pack) { return fmt::format("{:016x}{}", pack, kPackSuffix); }

std::optional<uint64_t> pack_from_file_name(std::string_view name) {
  uint64_t pack = 0;
  if (name.size() != 16 + kPackSuffix.size()) return std::nullopt;
  std::from_chars(name.data(), name.data() + 16, pack, 16);
  if (pack_file_name(pack) != name) return std::nullopt;
  return pack;
}

Bytes encode_pack_header(const PackHeader& header) {
  ByteWriter writer;
  writer.raw(as_bytes(kPackMagic)).number(kPackVersion).number(uint32_t(0)).number(header.pack);
  writer.raw(header.store).raw(Bytes(20));
  Bytes bytes = writer.take();
  const uint32_t checksum = crc32c(bytes);
  bytes.resize(kPackHeaderBytes);
  store_le(&bytes[kPackHeaderBytes - sizeof(checksum)], checksum);
  return bytes;
}

Result<PackHeader> decode_pack_header(std::span<const std::byte> bytes) {
  if (bytes.size() < kPackHeaderBytes) return damaged("pack header: cut off");
  const auto covered = bytes.first(kPackHeaderBytes - sizeof(uint32_t));
  ByteReader reader(bytes.first(kPackHeaderBytes));
  if (!equal(reader.raw(kPackMagic.size()), kPackMagic)) return damaged("pack header: no pack");
  const auto version = reader.number<uint32_t>();
  reader.raw(4);
  PackHeader header;
  header.pack = reader.number<uint64_t>();
  std::ranges::copy(reader.raw(header.store.size()), header.store.begin());
  reader.raw(20);
  if (reader.number<uint32_t>() != crc32c(covered)) return damaged("pack header: wrong checksum");
  if (version != kPackVersion) {
    return Error{Fault::kUnsupported, 0, fmt::format("pack header: version {}", version)};
  }
  return header;
}

Bytes encode_record(ObjectKind kind, const ChunkId& id, uint32_t plain_bytes, Codec codec,
                    std::span<const std::byte> payload) {
  const size_t checksum_count = checksum_count_of(codec, payload.size());
  Bytes record;
  record.reserve(kRecordHeaderBytes + 4 * checksum_count + payload.size());
  record.resize(kRecordHeaderBytes + 4 * checksum_count);
  std::ranges::copy(as_bytes(kRecordMagic), record.begin());
  store_le(&record[4], uint8_t(kind));
  store_le(&record[5], uint8_t(codec));
  store_le(&record[6], uint16_t(checksum_count));
  store_le(&record[8], uint32_t(payload.size()));
  store_le(&record[12], plain_bytes);
  std::ranges::copy(id.bytes, record.begin() + 16);
  for (size_t i = 0; i < checksum_count; i++) {
    store_le(&record[kRecordHeaderBytes + 4 * i], crc32c(block_of(payload, codec, i)));
  }
  store_le(&record[kHeaderChecksumOffset], header_checksum(record, record.size()));
  record.insert(record.end(), payload.begin(), payload.end());
  return record;
}

Result<RecordHeader> peek_record_header(std::span<const std::byte> bytes) {
  if (bytes.size() < kRecordHeaderBytes) return damaged("record header: cut off");
  ByteReader reader(bytes.first(kRecordHeaderBytes));
  if (!equal(reader.raw(kRecordMagic.size()), kRecordMagic)) {
    return damaged("record header: no record");
  }
  RecordHeader header;
  const auto kind = reader.number<uint8_t>();
  const auto codec = reader.number<uint8_t>();
  header.kind = ObjectKind(kind);
  header.codec = Codec(codec);
  header.checksum_count = reader.number<uint16_t>();
  header.stored_bytes = reader.number<uint32_t>();
  header.plain_bytes = reader.number<uint32_t>();
  std::ranges::copy(reader.raw(header.id.bytes.size()), header.id.bytes.begin());
  if (!is_consistent(kind, codec, header)) return damaged("record header: impossible values");
  return header;
}

Result<RecordHeader> decode_record_header(std::span<const std::byte> bytes) {
  TRY_ASSIGN(RecordHeader header, peek_record_header(bytes));
  if (bytes.size() < header.payload_offset()) return damaged("record: cut off");
  if (load_le<uint32_t>(&bytes[kHeaderChecksumOffset]) !=
      header_checksum(bytes, header.payload_offset())) {
    return damaged("record header: wrong checksum");
  }
  return header;
}

Result<Record> decode_record(std::span<const std::byte> bytes) {
  TRY_ASSIGN(RecordHeader header, decode_record_header(bytes));
  if (bytes.size() < header.record_bytes()) return damaged("record: cut off");
  return Record{header, bytes.subspan(kRecordHeaderBytes, size_t(4) * header.checksum_count),
                bytes.subspan(header.payload_offset(), header.stored_bytes)};
}

Result<void> check_payload(const Record& record) {
  for (size_t i = 0; i < record.header.checksum_count; i++) {
    const auto block = block_of(record.payload, record.header.codec, i);
    if (load_le<uint32_t>(&record.checksums[4 * i]) != crc32c(block)) {
      return damaged(fmt::format("payload: wrong checksum of block {}", i));
    }
  }
  return {};
}

Result<ObjectContent> decode_object(const Record& record) {
  ObjectContent object;
  if (record.header.codec == Codec::kNone) {
    object.resize(record.payload.size());
    std::memcpy(object.data(), record.payload.data(), object.size());
  } else {
    object.resize(record.header.plain_bytes);
    TRY(decompress(record.header.codec, record.payload, object));
  }
  if (hash_of(object) == record.header.id) return object;
  TRY(check_payload(record));  // says more, where it can
  return damaged("payload: hashes to " + to_hex(hash_of(object)));
}

}  // namespace casdisk
