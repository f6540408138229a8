#include "index/head_note.h"

#include <fmt/format.h>

#include "cas/crc32c.h"
#include "cas/os/replace_file.h"

namespace casdisk {
namespace {

constexpr std::string_view kFile = "head";
constexpr uint32_t kMagic = 0x4E484443;  // "CDHN"
constexpr uint32_t kVersion = 1;
constexpr size_t kMaxNoteBytes = size_t(8) << 20;  // a head with all the labels it may have: 2 MiB

Error damaged(std::string_view what) {
  return Error{Fault::kDamaged, 0, fmt::format("head note: {}", what)};
}

}  // namespace

Bytes encode(const HeadNote& note) {
  const Bytes head = encode(note.head);
  const Bytes fallback = note.fallback ? encode(*note.fallback) : Bytes();
  ByteWriter writer;
  writer.number(kMagic).number(kVersion).text(note.disk);
  writer.number(uint32_t(head.size())).raw(head);
  writer.number(uint32_t(fallback.size())).raw(fallback);
  Bytes bytes = writer.take();
  const uint32_t checksum = crc32c(bytes);
  bytes.resize(bytes.size() + sizeof(checksum));
  store_le(&bytes[bytes.size() - sizeof(checksum)], checksum);
  return bytes;
}

Result<HeadNote> decode_head_note(std::span<const std::byte> bytes) {
  if (bytes.size() < 2 * sizeof(uint32_t) + sizeof(uint32_t)) return damaged("cut off");
  const auto covered = bytes.first(bytes.size() - sizeof(uint32_t));
  ByteReader reader(covered);
  if (reader.number<uint32_t>() != kMagic) return damaged("is none");
  if (load_le<uint32_t>(&bytes[covered.size()]) != crc32c(covered))
    return damaged("wrong checksum");
  if (reader.number<uint32_t>() != kVersion) {
    return Error{Fault::kUnsupported, 0, "head note of an unknown version"};
  }
  HeadNote note;
  note.disk = reader.text();
  const auto head = reader.raw(reader.number<uint32_t>());
  const auto fallback = reader.raw(reader.number<uint32_t>());
  if (!reader.finished()) return damaged("lengths do not add up");
  TRY_ASSIGN(note.head, decode_head(head));
  if (!fallback.empty()) {
    TRY_ASSIGN(note.fallback, decode_fallback(fallback));
  }
  return note;
}

Result<void> write_head_note(Directory& disk_directory, const HeadNote& note) {
  return replace_file(disk_directory, kFile, encode(note));
}

Result<std::optional<HeadNote>> read_head_note(Directory& disk_directory) {
  auto file = disk_directory.open(kFile, OpenMode::kRead);
  if (!file.ok() && file.error().fault == Fault::kNotFound) return std::optional<HeadNote>();
  if (!file.ok()) return std::move(file.error());
  TRY_ASSIGN(const uint64_t size_bytes, file.value()->size());
  if (size_bytes > kMaxNoteBytes) return damaged("too large");
  Bytes bytes(size_bytes);
  TRY(file.value()->read(0, bytes));
  TRY_ASSIGN(HeadNote note, decode_head_note(bytes));
  return std::optional(std::move(note));
}

}  // namespace casdisk
