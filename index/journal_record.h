// The records of a map journal, as bytes and as runs: pure functions, no I/O.
//
// A record says which state words changed since the record before it, and may carry the bytes of
// blocks (physical redo): then the overlay need not have been synced for it. It names the journal's
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

// A block of the overlay as it was written; replay writes it again.
struct RedoBlock {
  uint64_t block = 0;                // of the disk
  std::span<const std::byte> bytes;  // kBlockBytes
};

// What a record says: at least one of the three.
struct JournalEntry {
  std::span<const WordRun> runs = {};
  std::span<const RedoBlock> redo = {};
  // The overlay was synced before this record was written: blocks of earlier records must not be
  // redone, since the overlay may have newer bytes that were flushed. Never together with `redo`.
  bool overlay_synced = false;
  bool empty() const { return runs.empty() && redo.empty() && !overlay_synced; }
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
inline constexpr uint32_t kJournalRedoBytes = 8 + kBlockBytes;
inline constexpr uint32_t kMaxRunsPerRecord = 64 * 1024;
inline constexpr uint32_t kMaxRedoPerRecord = 256;
inline constexpr uint64_t kMaxJournalRecordBytes =  // 2 MiB and a bit
    kJournalRecordHeaderBytes + uint64_t(kMaxRunsPerRecord) * kJournalRunBytes +
    uint64_t(kMaxRedoPerRecord) * kJournalRedoBytes;

Bytes encode_journal_header(const JournalHeader& header);  // kJournalHeaderBytes long
Result<JournalHeader> decode_journal_header(std::span<const std::byte> bytes);

// REQUIRES: not empty, within the limits above; runs and blocks inside the header's chunk_count.
Bytes encode_journal_record(const JournalHeader& header, uint64_t position,
                            const JournalEntry& entry);

struct JournalRecord {
  std::vector<WordRun> runs;
  std::vector<RedoBlock> redo;  // point into what the record was decoded from
  bool overlay_synced = false;
  uint64_t bytes = 0;  // its length in the file
};

// The record at the beginning of `bytes`, which lie at `position` of the journal; nothing when
// there is no whole one, which is the journal's end.
std::optional<JournalRecord> decode_journal_record(const JournalHeader& header, uint64_t position,
                                                   std::span<const std::byte> bytes);

}  // namespace casdisk
