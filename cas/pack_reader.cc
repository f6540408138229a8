#include "cas/pack_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cas/crc32c.h"

namespace casdisk {

namespace {

// A pack that is not there is damage of the store, not an object that it never had.
Error located_error(const LocatedObject& object, const Error& error) {
  Error located = error;
  if (error.fault == Fault::kNotFound) located.fault = Fault::kDamaged;
  located.context = fmt::format(
      "chunk {} in pack {:016x} at offset {}: {}", to_hex(object.id), object.location.pack,
      object.location.offset,
      error.fault == Fault::kNotFound ? "the pack is gone - " + error.context : error.context);
  return located;
}

// Of kMaxRecordBytes each, and not zeroed first.
std::unique_ptr<std::byte[]> room_for_records(size_t count) {
  return std::make_unique_for_overwrite<std::byte[]>(count * kMaxRecordBytes);
}

Result<ObjectContent> decode_verified(const LocatedObject& object,
                                      std::span<const std::byte> bytes) {
  TRY_ASSIGN(Record record, decode_record(bytes));
  if (record.header.id != object.id) {
    return Error{Fault::kDamaged, 0,
                 "record header: names another chunk, " + to_hex(record.header.id)};
  }
  return decode_object(record);
}

Result<void> check_blocks(const RawRecord& record, uint32_t first_block,
                          std::span<const std::byte> blocks) {
  for (size_t i = 0; i * kBlockBytes < blocks.size(); i++) {
    if (crc32c(blocks.subspan(i * kBlockBytes, kBlockBytes)) != record.checksums[first_block + i]) {
      return Error{Fault::kDamaged, 0, fmt::format("wrong checksum of block {}", first_block + i)};
    }
  }
  return {};
}

using RawRecordHead = std::array<std::byte, kRawChunkPayloadOffset>;

Result<RawRecord> decode_raw_record(const LocatedObject& chunk, const RawRecordHead& head) {
  TRY_ASSIGN(const RecordHeader header, decode_record_header(head));
  if (header.kind != ObjectKind::kChunk || header.codec != Codec::kNone || header.id != chunk.id) {
    return Error{Fault::kUnsupported, 0, "no raw record of this chunk"};
  }
  RawRecord record{chunk.location, {}};
  for (size_t i = 0; i < record.checksums.size(); i++) {
    record.checksums[i] = load_le<uint32_t>(&head[kRecordHeaderBytes + 4 * i]);
  }
  return record;
}

uint64_t block_at(const PackLocation& location, uint32_t block) {
  return location.offset + kRawChunkPayloadOffset + uint64_t(block) * kBlockBytes;
}

}  // namespace

Result<RawRecord> PackReader::read_first_blocks(const LocatedObject& chunk, uint32_t first_block,
                                                std::span<std::byte> into) {
  RawRecordHead head;
  TRY_ASSIGN(auto file, open_pack(chunk.location.pack));
  const std::array<ReadPiece, 2> pieces = {
      ReadPiece{file.get(), chunk.location.offset, head},
      ReadPiece{file.get(), block_at(chunk.location, first_block), into}};
  TRY(file_system_.read(pieces));
  TRY_ASSIGN(const RawRecord record, decode_raw_record(chunk, head));
  TRY(check_blocks(record, first_block, into));
  return record;
}

Result<void> PackReader::read_blocks(const RawRecord& record, uint32_t first_block,
                                     std::span<std::byte> into) {
  TRY_ASSIGN(auto file, open_pack(record.location.pack));
  TRY(file->read(block_at(record.location, first_block), into));
  return check_blocks(record, first_block, into);
}

void PackReader::read_blocks(std::span<BlockRead> reads) {
  std::vector<std::shared_ptr<const File>> files;
  std::vector<RawRecordHead> heads(reads.size());
  std::vector<ReadPiece> pieces;
  files.reserve(reads.size());
  pieces.reserve(2 * reads.size());
  for (size_t i = 0; i < reads.size(); i++) {
    const BlockRead& read = reads[i];
    const PackLocation& location = read.record.location;
    auto file = open_pack(location.pack);
    if (!file.ok()) return;
    files.push_back(std::move(file).value());
    if (!read.is_known) pieces.push_back({files.back().get(), location.offset, heads[i]});
    pieces.push_back({files.back().get(), block_at(location, read.first_block), read.into});
  }
  if (!file_system_.read(pieces).ok()) return;
  for (size_t i = 0; i < reads.size(); i++) {
    BlockRead& read = reads[i];
    if (!read.is_known) {
      auto found = decode_raw_record({read.id, read.record.location}, heads[i]);
      if (!found.ok()) continue;
      read.record = found.value();
    }
    read.is_right = check_blocks(read.record, read.first_block, read.into).ok();
  }
}

Result<ObjectContent> PackReader::read_verified(const LocatedObject& object,
                                                std::span<std::byte> record) {
  auto file = open_pack(object.location.pack);
  if (!file.ok()) return located_error(object, file.error());
  CHECK(object.location.record_bytes <= record.size());  // the table checks what it decodes
  record = record.first(object.location.record_bytes);
  if (auto done = file.value()->read(object.location.offset, record); !done.ok()) {
    return located_error(object, done.error());
  }
  auto plain = decode_verified(object, record);
  if (!plain.ok()) return located_error(object, plain.error());
  return plain;
}

// The room is the thread's: taken anew for each object, its memory would go back to the kernel and
// come again, zeroed, page by page.
Result<Object> PackReader::read(const LocatedObject& object) {
  thread_local const std::unique_ptr<std::byte[]> record = room_for_records(1);
  TRY_ASSIGN(ObjectContent plain, read_verified(object, {record.get(), kMaxRecordBytes}));
  return std::make_shared<const ObjectContent>(std::move(plain));
}

Result<Bytes> PackReader::read_record(const LocatedObject& object) {
  Bytes record(object.location.record_bytes);
  TRY_ASSIGN([[maybe_unused]] ObjectContent plain, read_verified(object, record));
  return record;
}

Result<std::vector<Object>> PackReader::read_many(std::span<const LocatedObject> objects) {
  std::vector<std::shared_ptr<const File>> files;
  std::vector<ReadPiece> pieces;
  const auto records = room_for_records(objects.size());
  for (const LocatedObject& object : objects) {
    auto file = open_pack(object.location.pack);
    if (!file.ok()) return located_error(object, file.error());
    files.push_back(std::move(file).value());
    CHECK(object.location.record_bytes <= kMaxRecordBytes);
    std::byte* record = &records[pieces.size() * kMaxRecordBytes];
    pieces.push_back({files.back().get(), object.location.offset,
                      std::span(record, object.location.record_bytes)});
  }
  TRY(file_system_.read(pieces));
  std::vector<Object> read;
  read.reserve(objects.size());
  for (size_t i = 0; i < objects.size(); i++) {
    auto plain = decode_verified(objects[i], pieces[i].into);
    if (!plain.ok()) return located_error(objects[i], plain.error());
    read.push_back(std::make_shared<const ObjectContent>(std::move(plain).value()));
  }
  return read;
}

bool PackReader::reaches(const PackLocation& location) {
  auto file = open_pack(location.pack);
  if (!file.ok()) return false;
  auto size_bytes = file.value()->size();
  return size_bytes.ok() && location.offset + location.record_bytes <= size_bytes.value();
}

void PackReader::close(uint64_t pack) {
  std::lock_guard lock(mutex_);
  open_packs_.erase(pack);
}

Result<std::shared_ptr<const File>> PackReader::open_pack(uint64_t pack) {
  {
    std::lock_guard lock(mutex_);
    if (auto found = open_packs_.find(pack); found != open_packs_.end()) {
      found->second.last_use = ++use_count_;
      return found->second.file;
    }
  }
  TRY_ASSIGN(std::shared_ptr<const File> file, packs_.open(pack_file_name(pack), OpenMode::kRead));
  std::lock_guard lock(mutex_);
  if (open_packs_.size() >= kMaxOpenPacks) {
    open_packs_.erase(std::ranges::min_element(
        open_packs_, {}, [](const auto& entry) { return entry.second.last_use; }));
  }
  open_packs_.insert_or_assign(pack, OpenPack{file, ++use_count_});
  return file;
}

}  // namespace casdisk
