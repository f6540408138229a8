#include "index/map_journal.h"

#include <fmt/format.h>

#include <algorithm>

namespace casdisk {
namespace {

constexpr uint64_t kAheadBytes = 256 * 1024;
constexpr uint64_t kMaxRecordBytes =
    kJournalRecordHeaderBytes + uint64_t(kMaxRunsPerRecord) * kJournalRunBytes;

}  // namespace

Result<std::unique_ptr<MapJournal>> MapJournal::replace(Directory& directory,
                                                        const std::string& name,
                                                        const JournalHeader& header,
                                                        std::span<const WordRun> runs) {
  std::string temporary = name + ".new";
  TRY_ASSIGN(auto file, directory.open(temporary, OpenMode::kCreateAny));
  TRY(file->resize(0));
  TRY(file->write(0, encode_journal_header(header)));
  std::unique_ptr<MapJournal> journal(new MapJournal(std::move(file), header));
  TRY(journal->write_records(runs));
  TRY(journal->write_ahead(journal->position_ + 1));
  TRY(journal->file_->sync());
  TRY(directory.rename(temporary, name));
  TRY(directory.sync());
  return journal;
}

Result<void> MapJournal::replay(Directory& directory, const std::string& name, uint64_t generation,
                                uint64_t chunk_count,
                                const std::function<Result<void>(const WordRun&)>& apply) {
  TRY_ASSIGN(auto file, directory.open(name, OpenMode::kRead));
  TRY_ASSIGN(uint64_t size_bytes, file->size());
  auto damaged = [&](std::string_view what) {
    return Error{Fault::kDamaged, 0, fmt::format("{}: {}", file->path(), what)};
  };
  if (size_bytes < kJournalHeaderBytes) return damaged("shorter than a map journal's header");
  Bytes window(kJournalHeaderBytes);
  TRY(file->read(0, window));
  auto decoded = decode_journal_header(window);
  if (!decoded.ok()) return damaged(decoded.error().context);
  JournalHeader header = decoded.value();
  if (header.generation != generation || header.chunk_count != chunk_count) {
    return damaged("is the map journal of another generation");
  }
  for (uint64_t position = kJournalHeaderBytes; position < size_bytes;) {
    window.resize(std::min(kMaxRecordBytes, size_bytes - position));
    TRY(file->read(position, window));
    size_t used = 0;
    while (auto record =
               decode_journal_record(header, position + used, std::span(window).subspan(used))) {
      for (const WordRun& run : record->runs) TRY(apply(run));
      used += record->bytes;
    }
    if (used == 0) break;
    position += used;
  }
  return {};
}

Result<void> MapJournal::append(std::span<const WordRun> runs) {
  TRY(write_records(runs));
  return file_->sync();
}

Result<void> MapJournal::write_records(std::span<const WordRun> runs) {
  while (!runs.empty()) {
    auto part = runs.first(std::min<size_t>(runs.size(), kMaxRunsPerRecord));
    runs = runs.subspan(part.size());
    Bytes record = encode_journal_record(header_, position_, part);
    TRY(write_ahead(position_ + record.size()));
    TRY(file_->write(position_, record));
    position_ += record.size();
  }
  return {};
}

Result<void> MapJournal::write_ahead(uint64_t needed_until) {
  if (needed_until <= zeroed_until_) return {};
  uint64_t until = (needed_until / kAheadBytes + 1) * kAheadBytes;
  TRY(file_->write(zeroed_until_, Bytes(until - zeroed_until_)));
  zeroed_until_ = until;
  return {};
}

}  // namespace casdisk
