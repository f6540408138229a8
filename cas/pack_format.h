// The pack format: how objects lie in a pack file. Pure functions, no I/O.
//
// A pack is a file header and records, one after the other without gaps. All numbers are
// little-endian. A checksum is CRC-32C (cas/crc32c.h).
//
// File header, 64 bytes:
//
//   OFFSET SIZE MEANING
//        0    8 magic "CASDPACK"
//        8    4 version, 1
//       12    4 zero
//       16    8 pack id, which is also the file's name: 16 hexadecimal digits and ".pack"
//       24   16 store id: random, the same in all packs of a store
//       40   20 zero
//       60    4 checksum of bytes 0-59
//
// Record, 52 + 4 * n + stored bytes:
//
//   OFFSET SIZE MEANING
//        0    4 magic "CDRC"
//        4    1 object kind: 1 chunk, 2 index page, 3 checkpoint record
//        5    1 codec of the payload: 0 raw, 1 LZ4 block, 2 Zstandard frame
//        6    2 n, the number of payload checksums
//        8    4 stored bytes: length of the payload
//       12    4 plain bytes: length of the object, 1 to 65536
//       16   32 id: BLAKE3-256 of the object
//       48    4 checksum of bytes 0-47 and of the payload checksums
//       52  4*n payload checksums: of each 4 KiB block of a raw payload (the last may be shorter),
//               or one of a compressed payload as a whole
//   52+4*n      payload
//
// A reader of a whole pack stops at the first record that is cut off: the tail of a pack whose
// writer died. Nothing names what lies there. Whole records may follow a damaged payload: its
// header, if that is intact, says where the next one begins.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cas/chunk_id.h"
#include "cas/chunk_store.h"
#include "cas/codec.h"
#include "cas/os/bytes.h"
#include "cas/os/result.h"

namespace casdisk {

inline constexpr uint32_t kPackVersion = 1;
inline constexpr size_t kPackHeaderBytes = 64;
inline constexpr size_t kRecordHeaderBytes = 52;
inline constexpr size_t kMaxRecordBytes =
    kRecordHeaderBytes + 4 * kBlocksPerChunk + kMaxObjectBytes;
// Of a raw chunk, and of nothing else.
inline constexpr size_t kRawChunkRecordBytes = kMaxRecordBytes;
inline constexpr size_t kRawChunkPayloadOffset = kRecordHeaderBytes + 4 * kBlocksPerChunk;
// A pack is closed before it would grow beyond this; offsets in it are far below.
inline constexpr uint64_t kMaxPackBytes = uint64_t(256) << 20;

using StoreId = std::array<std::byte, 16>;

// Where a record lies.
struct PackLocation {
  uint64_t pack = 0;
  uint64_t offset = 0;
  uint32_t record_bytes = 0;
  bool operator==(const PackLocation&) const = default;
};

struct LocatedObject {
  ChunkId id;
  PackLocation location;
};

struct PackHeader {
  uint64_t pack = 0;
  StoreId store{};
};

// What a record's header says, checked for consistency: the lengths are within their bounds.
struct RecordHeader {
  ObjectKind kind = ObjectKind::kChunk;
  Codec codec = Codec::kNone;
  uint16_t checksum_count = 0;
  uint32_t stored_bytes = 0;
  uint32_t plain_bytes = 0;
  ChunkId id;
  size_t payload_offset() const { return kRecordHeaderBytes + size_t(4) * checksum_count; }
  size_t record_bytes() const { return payload_offset() + stored_bytes; }
};

// Where a raw chunk lies, and what its blocks are checked against when they are read alone.
struct RawRecord {
  PackLocation location;
  std::array<uint32_t, kBlocksPerChunk> checksums{};
};

// A record in somebody's buffer.
struct Record {
  RecordHeader header;
  std::span<const std::byte> checksums;
  std::span<const std::byte> payload;
};

std::string pack_file_name(uint64_t pack);
std::optional<uint64_t> pack_from_file_name(std::string_view name);

Bytes encode_pack_header(const PackHeader& header);
Result<PackHeader> decode_pack_header(std::span<const std::byte> bytes);  // kDamaged, kUnsupported

// The record of an object. `payload` is the object itself or, for another codec than kNone, what
// compress() made of it.
Bytes encode_record(ObjectKind kind, const ChunkId& id, uint32_t plain_bytes, Codec codec,
                    std::span<const std::byte> payload);

// Reads the fixed part alone, at the start of `bytes`, without checking its checksum: how much has
// to be read for the record to be decoded. kDamaged when it cannot be one.
Result<RecordHeader> peek_record_header(std::span<const std::byte> bytes);

// Reads the header and the payload checksums at the start of `bytes`. kDamaged when they are cut
// off or not what was written.
Result<RecordHeader> decode_record_header(std::span<const std::byte> bytes);

// Reads the record at the start of `bytes`, which may go on behind it. kDamaged when it is cut off
// or its header is not what was written; its payload is not looked at.
Result<Record> decode_record(std::span<const std::byte> bytes);

// kDamaged when a payload checksum is wrong; says which block.
Result<void> check_payload(const Record& record);

// The object, decompressed and checked against the id. kDamaged when it is not what was stored.
Result<ObjectContent> decode_object(const Record& record);

}  // namespace casdisk
