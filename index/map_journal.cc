#include "index/map_journal.h"

#include <fmt/format.h>

#include <algorithm>

namespace casdisk {
namespace {

constexpr uint64_t kAheadBytes = 256 * 1024;

Result<JournalHeader> read_header(const File& file, uint64_t generation, uint64_t chunk_count) {
  auto damaged = [&](std::string_view what) {
    return Error{Fault::kDamaged, 0, fmt::format("{}: {}", file.path(), what)};
  };
  TRY_ASSIGN(const uint64_t size_bytes, file.size());
  if (size_bytes < kJournalHeaderBytes) return damaged("shorter than a map journal's header");
  Bytes bytes(kJournalHeaderBytes);
  TRY(file.read(0, bytes));
  auto header = decode_journal_header(bytes);
  if (!header.ok()) return damaged(header.error().context);
  if (header.value().generation != generation || header.value().chunk_count != chunk_count) {
    return damaged("is the map journal of another generation");
  }
  return header;
}

// Reads the file in pieces; calls visit(position, record) for each whole record. Gives the end.
template <typename Visit>
Result<uint64_t> for_each_record(const File& file, const JournalHeader& header, Visit visit) {
  TRY_ASSIGN(const uint64_t size_bytes, file.size());
  Bytes window;
  uint64_t position = kJournalHeaderBytes;
  while (position < size_bytes) {
    window.resize(std::min(kMaxJournalRecordBytes, size_bytes - position));
    TRY(file.read(position, window));
    size_t used = 0;
    while (auto record =
               decode_journal_record(header, position + used, std::span(window).subspan(used))) {
      TRY(visit(position + used, *record));
      used += record->bytes;
    }
    if (used == 0) break;
    position += used;
  }
  return position;
}

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
  TRY(journal->write_records({.runs = runs}));
  TRY(journal->write_ahead(journal->position_ + 1));
  TRY(journal->file_->sync());
  TRY(directory.rename(temporary, name));
  TRY(directory.sync());
  return journal;
}

Result<void> MapJournal::replay(Directory& directory, const std::string& name, uint64_t generation,
                                uint64_t chunk_count, const Replay& replay) {
  TRY_ASSIGN(auto file, directory.open(name, OpenMode::kRead));
  TRY_ASSIGN(const JournalHeader header, read_header(*file, generation, chunk_count));
  // Which blocks are to be redone is known at the end.
  uint64_t redo_from = kJournalHeaderBytes;
  bool carries = false;
  auto apply = [&](uint64_t position, const JournalRecord& record) -> Result<void> {
    if (replay.apply) {
      for (const WordRun& run : record.runs) TRY(replay.apply(run));
    }
    if (record.overlay_synced) redo_from = position;
    carries = !record.overlay_synced && (carries || !record.redo.empty());
    return {};
  };
  auto redo = [&](uint64_t position, const JournalRecord& record) -> Result<void> {
    if (position < redo_from) return {};
    for (const RedoBlock& block : record.redo) TRY(replay.redo(block));
    return {};
  };
  TRY_ASSIGN(const uint64_t end, for_each_record(*file, header, apply));
  if (!replay.redo || !carries) return {};
  TRY_ASSIGN(const uint64_t end_again, for_each_record(*file, header, redo));
  if (end_again == end) return {};
  return Error{Fault::kIo, 0, file->path() + ": reads differently each time; check its device"};
}

Result<void> MapJournal::append(const JournalEntry& entry) {
  CHECK(entry.redo.empty() || entry.runs.size() <= kMaxRunsPerRecord);
  TRY(write_records(entry));
  return file_->sync();
}

Result<void> MapJournal::write_records(JournalEntry entry) {
  while (!entry.empty()) {
    JournalEntry part = entry;
    part.runs = entry.runs.first(std::min<size_t>(entry.runs.size(), kMaxRunsPerRecord));
    const Bytes record = encode_journal_record(header_, position_, part);
    TRY(write_ahead(position_ + record.size()));
    TRY(file_->write(position_, record));
    position_ += record.size();
    entry = {.runs = entry.runs.subspan(part.runs.size())};
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
