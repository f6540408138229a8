// The records of a map journal, as bytes and as runs: pure functions, no I/O.
//
// A record says which state words changed since the record before it. It carries the journal's
// random log id, the generation and its own position in the file, so that bytes left over from an
// older journal or an older place never pass for a record. docs/FORMAT.md has the byte tables.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cas/os/bytes.h"
#include "cas/os/result.h"
#include "index/block_state.h"

namespace casdisk {

// Chunks [first, first + count) all have `word`.
struct WordRun {
  uint64_t first = 0;
  uint32_t count = 0;
  ChunkWord word = kAllClean;
  bool operator==(const WordRun&) const = default;
};

struct JournalHeader {
  uint64_t log_id = 0;
  uint64_t generation = 0;
  uint64_t chunk_count = 0;
  bool operator==(const JournalHeader&) const = default;
};

inline constexpr uint32_t kJournalHeaderBytes = 4096;  // records begin here
inline constexpr uint32_t kJournalRecordHeaderBytes = 40;
inline constexpr uint32_t kJournalRunBytes = 16;
inline constexpr uint32_t kMaxRunsPerRecord = 64 * 1024;  // a record is at most 1 MiB and a bit

Bytes encode_journal_header(const JournalHeader& header);  // kJournalHeaderBytes long
Result<JournalHeader> decode_journal_header(std::span<const std::byte> bytes);

// REQUIRES: 1 to kMaxRunsPerRecord runs, inside the header's chunk_count.
Bytes encode_journal_record(const JournalHeader& header, uint64_t position,
                            std::span<const WordRun> runs);

struct JournalRecord {
  std::vector<WordRun> runs;
  uint64_t bytes = 0;  // its length in the file
};

// The record at the beginning of `bytes`, which lie at `position` of the journal; nothing when
// there is no whole one, which is the journal's end.
std::optional<JournalRecord> decode_journal_record(const JournalHeader& header, uint64_t position,
                                                   std::span<const std::byte> bytes);

}  // namespace casdisk
