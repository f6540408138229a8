#include "index/journal_record.h"

#include <fmt/format.h>

#include <array>

#include "cas/crc32c.h"

namespace casdisk {
namespace {

constexpr uint32_t kJournalMagic = 0x4C4A4443;  // "CDJL"
constexpr uint32_t kJournalVersion = 2;
constexpr uint32_t kOldestJournalVersion = 1;  // whose records have runs alone
constexpr uint32_t kRecordMagic = 0x524A4443;  // "CDJR"
constexpr size_t kHeaderChecksumAt = 32;
constexpr size_t kRecordChecksumAt = 4;
constexpr uint16_t kOverlaySynced = 1;

// Of everything but the checksum itself, which counts as zero.
uint32_t record_checksum(std::span<const std::byte> record) {
  constexpr std::array<std::byte, sizeof(uint32_t)> kZeros{};
  const uint32_t before = crc32c(kZeros, crc32c(record.first(kRecordChecksumAt)));
  return crc32c(record.subspan(kRecordChecksumAt + kZeros.size()), before);
}

// A run inside the disk, with a state that a word can have.
bool is_possible(const WordRun& run, uint64_t chunk_count) {
  return run.count > 0 && run.first < chunk_count && run.count <= chunk_count - run.first &&
         is_valid(run.word);
}

uint64_t record_bytes(size_t run_count, size_t redo_count) {
  return kJournalRecordHeaderBytes + uint64_t(run_count) * kJournalRunBytes +
         uint64_t(redo_count) * kJournalRedoBytes;
}

}  // namespace

Bytes encode_journal_header(const JournalHeader& header) {
  ByteWriter writer;
  writer.number(kJournalMagic).number(kJournalVersion);
  writer.number(header.log_id).number(header.generation).number(header.chunk_count);
  Bytes bytes = writer.take();
  uint32_t checksum = crc32c(bytes);
  bytes.resize(kJournalHeaderBytes);
  store_le(&bytes[kHeaderChecksumAt], checksum);
  return bytes;
}

Result<JournalHeader> decode_journal_header(std::span<const std::byte> bytes) {
  auto damaged = [](std::string what) {
    return Error{Fault::kDamaged, 0, "map journal header: " + std::move(what)};
  };
  if (bytes.size() < kJournalHeaderBytes) return damaged("too short");
  ByteReader reader(bytes);
  uint32_t magic = reader.number<uint32_t>(), version = reader.number<uint32_t>();
  if (magic != kJournalMagic) return damaged("not a map journal");
  if (version < kOldestJournalVersion || version > kJournalVersion) {
    return damaged(fmt::format("version {}, this program knows {} to {}", version,
                               kOldestJournalVersion, kJournalVersion));
  }
  JournalHeader header;
  header.log_id = reader.number<uint64_t>();
  header.generation = reader.number<uint64_t>();
  header.chunk_count = reader.number<uint64_t>();
  if (reader.number<uint32_t>() != crc32c(bytes.first(kHeaderChecksumAt))) {
    return damaged("wrong checksum");
  }
  return header;
}

Bytes encode_journal_record(const JournalHeader& header, uint64_t position,
                            const JournalEntry& entry) {
  CHECK(!entry.empty() && entry.runs.size() <= kMaxRunsPerRecord);
  CHECK(entry.redo.size() <= kMaxRedoPerRecord && !(entry.overlay_synced && !entry.redo.empty()));
  ByteWriter writer(record_bytes(entry.runs.size(), entry.redo.size()));
  writer.number(kRecordMagic).number(uint32_t(0));
  writer.number(header.log_id).number(header.generation).number(position);
  writer.number(uint32_t(entry.runs.size())).number(uint16_t(entry.redo.size()));
  writer.number(entry.overlay_synced ? kOverlaySynced : uint16_t(0));
  for (const WordRun& run : entry.runs) {
    CHECK(is_possible(run, header.chunk_count));
    writer.number(run.first).number(run.count).number(run.word);
  }
  for (const RedoBlock& redo : entry.redo) {
    CHECK(redo.block / kBlocksPerChunk < header.chunk_count && redo.bytes.size() == kBlockBytes);
    writer.number(redo.block).raw(redo.bytes);
  }
  Bytes record = writer.take();
  store_le(&record[kRecordChecksumAt], record_checksum(record));
  return record;
}

std::optional<JournalRecord> decode_journal_record(const JournalHeader& header, uint64_t position,
                                                   std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  uint32_t magic = reader.number<uint32_t>(), checksum = reader.number<uint32_t>();
  uint64_t log_id = reader.number<uint64_t>(), generation = reader.number<uint64_t>();
  uint64_t at = reader.number<uint64_t>();
  uint32_t run_count = reader.number<uint32_t>();
  uint16_t redo_count = reader.number<uint16_t>(), flags = reader.number<uint16_t>();
  if (reader.failed() || magic != kRecordMagic) return std::nullopt;
  if (log_id != header.log_id || generation != header.generation || at != position) {
    return std::nullopt;
  }
  if (run_count > kMaxRunsPerRecord || redo_count > kMaxRedoPerRecord) return std::nullopt;
  JournalRecord record;
  record.overlay_synced = flags == kOverlaySynced;
  if (flags != 0 && (!record.overlay_synced || redo_count > 0)) return std::nullopt;
  if (run_count == 0 && redo_count == 0 && !record.overlay_synced) return std::nullopt;
  record.bytes = record_bytes(run_count, redo_count);
  if (record.bytes > bytes.size()) return std::nullopt;
  if (record_checksum(bytes.first(record.bytes)) != checksum) return std::nullopt;
  record.runs.reserve(run_count);
  for (uint32_t i = 0; i < run_count; i++) {
    WordRun run;
    run.first = reader.number<uint64_t>();
    run.count = reader.number<uint32_t>();
    run.word = reader.number<uint32_t>();
    if (!is_possible(run, header.chunk_count)) return std::nullopt;
    record.runs.push_back(run);
  }
  record.redo.reserve(redo_count);
  for (uint16_t i = 0; i < redo_count; i++) {
    const auto block = reader.number<uint64_t>();
    if (block / kBlocksPerChunk >= header.chunk_count) return std::nullopt;
    record.redo.push_back({block, reader.raw(kBlockBytes)});
  }
  return record;
}

}  // namespace casdisk
