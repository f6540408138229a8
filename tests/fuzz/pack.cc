// Packs: the file header, then record after record as a reader of a whole pack takes them. The
// bytes are tried as they are and, because checksums would keep all but the luckiest inputs out,
// with checksums that fit.
#include "cas/crc32c.h"
#include "cas/pack_format.h"
#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

constexpr size_t kChecksumAt = 48;  // of a record's header

void put_checksum(Bytes& bytes, size_t at, std::span<const std::byte> covered) {
  if (at + 4 <= bytes.size()) store_le(&bytes[at], crc32c(covered));
}

// The record at `at` as its writer would have sealed it; where the next one begins, or nothing.
size_t mend_record(Bytes& pack, size_t at) {
  auto header = peek_record_header(std::span(pack).subspan(at));
  if (!header.ok()) return 0;
  const size_t end = at + header.value().record_bytes();
  if (end > pack.size()) return 0;
  auto payload =
      std::span(pack).subspan(at + header.value().payload_offset(), header.value().stored_bytes);
  Bytes plain(header.value().plain_bytes);
  if (decompress(header.value().codec, payload, plain).ok()) {
    std::ranges::copy(hash_of(plain).bytes, pack.begin() + ptrdiff_t(at) + 16);
  }
  const bool is_raw = header.value().codec == Codec::kNone;  // else each is of all of it
  for (size_t i = 0; i < header.value().checksum_count; i++) {
    const size_t first = is_raw ? i * kBlockBytes : 0;
    const size_t length =
        is_raw ? std::min<size_t>(kBlockBytes, payload.size() - first) : payload.size();
    put_checksum(pack, at + kRecordHeaderBytes + 4 * i, payload.subspan(first, length));
  }
  Bytes covered(pack.begin() + ptrdiff_t(at), pack.begin() + ptrdiff_t(at + kChecksumAt));
  covered.insert(covered.end(), pack.begin() + ptrdiff_t(at + kRecordHeaderBytes),
                 pack.begin() + ptrdiff_t(at + header.value().payload_offset()));
  put_checksum(pack, at + kChecksumAt, covered);
  return end;
}

Bytes mended(std::span<const std::byte> bytes) {
  Bytes pack(bytes.begin(), bytes.end());
  if (pack.size() >= kPackHeaderBytes) {
    put_checksum(pack, kPackHeaderBytes - 4, std::span(pack).first(kPackHeaderBytes - 4));
  }
  for (size_t at = kPackHeaderBytes; at != 0 && at < pack.size();) at = mend_record(pack, at);
  return pack;
}

// What decodes is what encode_record() makes of its parts.
void check_record(const Record& record, std::span<const std::byte> bytes) {
  CHECK(record.header.record_bytes() <= kMaxRecordBytes);
  CHECK(record.payload.size() == record.header.stored_bytes);
  auto object = decode_object(record);
  const bool whole = check_payload(record).ok();
  if (!object.ok()) {
    CHECK(object.error().fault == Fault::kDamaged && !object.error().context.empty());
    return;
  }
  CHECK(object.value().size() == record.header.plain_bytes);
  CHECK(hash_of(object.value()) == record.header.id);
  if (!whole) return;
  CHECK(same_bytes(encode_record(record.header.kind, record.header.id, record.header.plain_bytes,
                                 record.header.codec, record.payload),
                   bytes.first(record.header.record_bytes())));
}

void check_pack(std::span<const std::byte> pack) {
  const AllocationBound bound(4 * (kMaxRecordBytes + kMaxObjectBytes));
  auto header = decode_pack_header(pack);
  if (!header.ok()) {
    CHECK(header.error().fault == Fault::kDamaged || header.error().fault == Fault::kUnsupported);
    return;
  }
  auto again = decode_pack_header(encode_pack_header(header.value()));
  CHECK(again.ok() && again.value().pack == header.value().pack);
  CHECK(again.value().store == header.value().store);
  for (size_t at = kPackHeaderBytes; at <= pack.size();) {
    auto record = decode_record(pack.subspan(at));
    if (!record.ok()) break;
    check_record(record.value(), pack.subspan(at));
    at += record.value().header.record_bytes();
  }
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  casdisk::check_pack(bytes);
  const casdisk::Bytes mended = casdisk::mended(bytes);
  casdisk::check_pack(mended);
  // As a pack without its header, which is what a location in the table leads to.
  auto record = casdisk::decode_record(bytes);
  if (record.ok()) casdisk::check_record(record.value(), bytes);
  return 0;
}
