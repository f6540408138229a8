#include "index/journal_record.h"

#include <fmt/format.h>

#include "cas/crc32c.h"

namespace casdisk {
namespace {

constexpr uint32_t kJournalMagic = 0x4C4A4443;  // "CDJL"
constexpr uint32_t kJournalVersion = 1;
constexpr uint32_t kRecordMagic = 0x524A4443;  // "CDJR"
constexpr size_t kHeaderChecksumAt = 32;
constexpr size_t kRecordChecksumAt = 4;

// Of everything but the checksum itself, which counts as zero.
uint32_t record_checksum(Bytes record) {
  store_le(&record[kRecordChecksumAt], uint32_t(0));
  return crc32c(record);
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
  if (version != kJournalVersion) {
    return damaged(fmt::format("version {}, this program knows {}", version, kJournalVersion));
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
                            std::span<const WordRun> runs) {
  CHECK(!runs.empty() && runs.size() <= kMaxRunsPerRecord);
  ByteWriter writer;
  writer.number(kRecordMagic).number(uint32_t(0));
  writer.number(header.log_id).number(header.generation).number(position);
  writer.number(uint32_t(runs.size())).number(uint32_t(0));
  for (const WordRun& run : runs) {
    CHECK(run.count > 0 && run.first + run.count <= header.chunk_count && is_valid(run.word));
    writer.number(run.first).number(run.count).number(run.word);
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
  uint32_t run_count = reader.number<uint32_t>(), reserved = reader.number<uint32_t>();
  if (reader.failed() || magic != kRecordMagic || reserved != 0) return std::nullopt;
  if (log_id != header.log_id || generation != header.generation || at != position) {
    return std::nullopt;
  }
  if (run_count == 0 || run_count > kMaxRunsPerRecord) return std::nullopt;
  JournalRecord record;
  record.bytes = kJournalRecordHeaderBytes + uint64_t(run_count) * kJournalRunBytes;
  if (record.bytes > bytes.size()) return std::nullopt;
  if (record_checksum(Bytes(bytes.begin(), bytes.begin() + ptrdiff_t(record.bytes))) != checksum) {
    return std::nullopt;
  }
  record.runs.reserve(run_count);
  for (uint32_t i = 0; i < run_count; i++) {
    WordRun run;
    run.first = reader.number<uint64_t>();
    run.count = reader.number<uint32_t>();
    run.word = reader.number<uint32_t>();
    bool inside = run.count > 0 && run.first < header.chunk_count &&
                  run.count <= header.chunk_count - run.first;
    if (!inside || !is_valid(run.word)) return std::nullopt;
    record.runs.push_back(run);
  }
  return record;
}

}  // namespace casdisk
