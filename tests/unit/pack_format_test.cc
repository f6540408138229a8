#include "cas/pack_format.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"

namespace casdisk {
namespace {

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (std::byte byte : bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[uint8_t(byte) >> 4];
    text += kDigits[uint8_t(byte) & 15];
  }
  return text;
}

Bytes raw_record(std::span<const std::byte> object, ObjectKind kind) {
  return encode_record(kind, hash_of(object), uint32_t(object.size()), Codec::kNone, object);
}

Bytes compressed_record(std::span<const std::byte> chunk) {
  return encode_record(ObjectKind::kChunk, hash_of(chunk), uint32_t(chunk.size()), Codec::kZstd,
                       *compress(Codec::kZstd, chunk));
}

// The example of docs/FORMAT.md.
TEST(PackFormat, GoldenHeader) {
  StoreId store;
  for (size_t i = 0; i < store.size(); i++) store[i] = std::byte(uint8_t(0xa0 + i));
  EXPECT_EQ(hex(encode_pack_header({.pack = 10, .store = store})),
            "434153445041434b"                          // CASDPACK
            "0100000000000000"                          // version, zero
            "0a00000000000000"                          // pack id
            "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"          // store id
            "0000000000000000000000000000000000000000"  // zero
            "fe699bd6");
}

TEST(PackFormat, GoldenRecord) {
  EXPECT_EQ(hex(raw_record(as_bytes("casdisk"), ObjectKind::kPage)),
            "43445243"  // CDRC
            "02"        // an index page
            "00"        // raw
            "0100"      // one payload checksum
            "07000000"  // stored bytes
            "07000000"  // plain bytes
            "36a450c83e11075e53e391de1979bca148ecfb82dce1cf503ca8fc6e004591d8"
            "ef994e51"  // checksum of the header
            "fd5a9e04"  // checksum of the payload
            "6361736469736b");
}

TEST(PackFormat, FileNames) {
  EXPECT_EQ(pack_file_name(10), "000000000000000a.pack");
  EXPECT_EQ(pack_from_file_name("000000000000000a.pack"), 10u);
  EXPECT_EQ(pack_from_file_name(pack_file_name(~uint64_t(0))), ~uint64_t(0));
  EXPECT_FALSE(pack_from_file_name("a.pack"));
  EXPECT_FALSE(pack_from_file_name("000000000000000A.pack"));
  EXPECT_FALSE(pack_from_file_name("00000000000000-a.pack"));
  EXPECT_FALSE(pack_from_file_name("000000000000000a.pack~"));
  EXPECT_FALSE(pack_from_file_name("000000000000000a.tmp_"));
}

TEST(PackFormat, HeaderRoundTripAndDamage) {
  Bytes bytes = encode_pack_header({.pack = 77, .store = {std::byte(5)}});
  auto header = decode_pack_header(bytes);
  ASSERT_OK(header);
  EXPECT_EQ(header.value().pack, 77u);
  EXPECT_EQ(header.value().store[0], std::byte(5));
  for (size_t i = 0; i < bytes.size(); i++) {
    bytes[i] ^= std::byte(0x10);
    EXPECT_FAULT(decode_pack_header(bytes), Fault::kDamaged) << i;
    bytes[i] ^= std::byte(0x10);
  }
  EXPECT_FAULT(decode_pack_header(std::span(bytes).first(63)), Fault::kDamaged);
}

TEST(PackFormat, RecordRoundTrip) {
  const Bytes raw = random_bytes(1);
  const Bytes soft = compressible_bytes(2);
  const Bytes page = random_bytes(3, 5000);
  for (const auto& [record, object, checksums] :
       {std::tuple(raw_record(raw, ObjectKind::kChunk), raw, 16),
        std::tuple(compressed_record(soft), soft, 1),
        std::tuple(raw_record(page, ObjectKind::kPage), page, 2)}) {
    auto peeked = peek_record_header(std::span(record).first(kRecordHeaderBytes));
    ASSERT_OK(peeked);
    EXPECT_EQ(peeked.value().record_bytes(), record.size());
    EXPECT_EQ(peeked.value().checksum_count, checksums);
    auto decoded = decode_record(record);
    ASSERT_OK(decoded);
    EXPECT_EQ(decoded.value().header.id, hash_of(object));
    EXPECT_OK(check_payload(decoded.value()));
    auto back = decode_object(decoded.value());
    ASSERT_OK(back);
    EXPECT_EQ(back.value(), object);
  }
  EXPECT_EQ(raw_record(raw, ObjectKind::kChunk).size(), kMaxRecordBytes);
}

// Whatever bit is wrong, no other bytes than the object's come out.
TEST(PackFormat, EveryFlippedBitIsFound) {
  const Bytes page = random_bytes(4, 300);
  const Bytes chunk = compressible_bytes(5);
  for (const auto& [record, object] : {std::pair(raw_record(page, ObjectKind::kPage), page),
                                       std::pair(compressed_record(chunk), chunk)}) {
    Bytes damaged = record;
    for (size_t i = 0; i < damaged.size(); i++) {
      damaged[i] ^= std::byte(uint8_t(1 << (i % 8)));
      auto decoded = decode_record(damaged);
      if (decoded.ok()) {
        EXPECT_GE(i, decoded.value().header.payload_offset());
        EXPECT_FAULT(check_payload(decoded.value()), Fault::kDamaged);
        auto back = decode_object(decoded.value());  // a few bits of a zstd frame mean nothing
        EXPECT_TRUE(back.ok() ? back.value() == object : back.error().fault == Fault::kDamaged);
      } else {
        EXPECT_EQ(decoded.error().fault, Fault::kDamaged);
        EXPECT_LT(i, kRecordHeaderBytes + 4);
      }
      damaged[i] = record[i];
    }
  }
}

TEST(PackFormat, DamageNamesItsBlock) {
  Bytes record = raw_record(random_bytes(6), ObjectKind::kChunk);
  record[kRecordHeaderBytes + 4 * kBlocksPerChunk + 3 * kBlockBytes + 17] ^= std::byte(1);
  auto decoded = decode_record(record);
  ASSERT_OK(decoded);
  auto object = decode_object(decoded.value());
  ASSERT_FAULT(object, Fault::kDamaged);
  EXPECT_EQ(object.error().context, "payload: wrong checksum of block 3");
}

TEST(PackFormat, LengthsAreBoundedBeforeTheyAreBelieved) {
  const Bytes record = raw_record(random_bytes(7, 300), ObjectKind::kPage);
  const auto refuses = [&](size_t offset, auto value) {
    Bytes wrong = record;
    store_le(&wrong[offset], value);
    return fails_with(peek_record_header(wrong), Fault::kDamaged);
  };
  EXPECT_TRUE(refuses(4, uint8_t(0)));            // kind
  EXPECT_TRUE(refuses(4, uint8_t(4)));            //
  EXPECT_TRUE(refuses(4, uint8_t(1)));            // a chunk of 300 bytes
  EXPECT_TRUE(refuses(5, uint8_t(3)));            // codec
  EXPECT_TRUE(refuses(6, uint16_t(0xffff)));      // payload checksums
  EXPECT_TRUE(refuses(8, uint32_t(0xffffffff)));  // stored bytes
  EXPECT_TRUE(refuses(12, kMaxObjectBytes + 1));  // plain bytes
  EXPECT_TRUE(refuses(12, uint32_t(0)));          //
  EXPECT_OK(peek_record_header(record));
  // Consistent in itself, and too large all the same.
  const Bytes payload = random_bytes(8, 100);
  for (auto [plain_bytes, fits] :
       {std::pair(kMaxObjectBytes, true), std::pair(kMaxObjectBytes + 1, false)}) {
    const Bytes compressed =
        encode_record(ObjectKind::kPage, ChunkId(), plain_bytes, Codec::kZstd, payload);
    EXPECT_EQ(peek_record_header(compressed).ok(), fits);
    EXPECT_EQ(peek_record_header(raw_record(Bytes(plain_bytes), ObjectKind::kPage)).ok(), fits);
  }
}

// A pack is readable from front to back, and where its writer died is recognized.
TEST(PackFormat, SequentialScanStopsAtATornTail) {
  Bytes pack = encode_pack_header({.pack = 1});
  const std::vector<Bytes> objects = {random_bytes(8, 100), compressible_bytes(9),
                                      random_bytes(10)};
  for (const Bytes& record :
       {raw_record(objects[0], ObjectKind::kPage), compressed_record(objects[1]),
        raw_record(objects[2], ObjectKind::kChunk)}) {
    pack.insert(pack.end(), record.begin(), record.end());
  }
  for (size_t cut : {size_t(0), size_t(1), size_t(kChunkBytes), kMaxRecordBytes - 1}) {
    auto rest = std::span<const std::byte>(pack).first(pack.size() - cut).subspan(kPackHeaderBytes);
    size_t found = 0;
    while (!rest.empty()) {
      auto record = decode_record(rest);
      if (!record.ok()) break;
      EXPECT_EQ(record.value().header.id, hash_of(objects[found++]));
      rest = rest.subspan(record.value().header.record_bytes());
    }
    EXPECT_EQ(found, cut == 0 ? 3u : 2u) << cut;
    EXPECT_EQ(rest.empty(), cut == 0);
  }
}

}  // namespace
}  // namespace casdisk
