#include "cas/pack_reader.h"

#include <fmt/format.h>

#include <algorithm>

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

Result<Bytes> decode_verified(const LocatedObject& object, std::span<const std::byte> bytes) {
  TRY_ASSIGN(Record record, decode_record(bytes));
  if (record.header.id != object.id) {
    return Error{Fault::kDamaged, 0,
                 "record header: names another chunk, " + to_hex(record.header.id)};
  }
  return decode_object(record);
}

}  // namespace

Result<Bytes> PackReader::read_verified(const LocatedObject& object, Bytes& record) {
  auto file = open_pack(object.location.pack);
  if (!file.ok()) return located_error(object, file.error());
  CHECK(object.location.record_bytes <= kMaxRecordBytes);  // the table checks what it decodes
  record.resize(object.location.record_bytes);
  if (auto done = file.value()->read(object.location.offset, record); !done.ok()) {
    return located_error(object, done.error());
  }
  auto plain = decode_verified(object, record);
  if (!plain.ok()) return located_error(object, plain.error());
  return plain;
}

Result<Object> PackReader::read(const LocatedObject& object) {
  Bytes record;
  TRY_ASSIGN(Bytes plain, read_verified(object, record));
  return std::make_shared<const Bytes>(std::move(plain));
}

Result<Bytes> PackReader::read_record(const LocatedObject& object) {
  Bytes record;
  TRY_ASSIGN([[maybe_unused]] Bytes plain, read_verified(object, record));
  return record;
}

Result<std::vector<Object>> PackReader::read_many(std::span<const LocatedObject> objects) {
  std::vector<std::shared_ptr<const File>> files;
  std::vector<Bytes> records;
  std::vector<ReadPiece> pieces;
  records.reserve(objects.size());  // pieces point into them
  for (const LocatedObject& object : objects) {
    auto file = open_pack(object.location.pack);
    if (!file.ok()) return located_error(object, file.error());
    files.push_back(std::move(file).value());
    CHECK(object.location.record_bytes <= kMaxRecordBytes);
    records.emplace_back(object.location.record_bytes);
    pieces.push_back({files.back().get(), object.location.offset, records.back()});
  }
  TRY(file_system_.read(pieces));
  std::vector<Object> read;
  read.reserve(objects.size());
  for (size_t i = 0; i < objects.size(); i++) {
    auto plain = decode_verified(objects[i], records[i]);
    if (!plain.ok()) return located_error(objects[i], plain.error());
    read.push_back(std::make_shared<const Bytes>(std::move(plain).value()));
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
