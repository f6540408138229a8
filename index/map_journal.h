// MapJournal: the durable dirty map of one generation, as a log of records (journal_record.h).
//
// The file is written ahead with zeros, so that the sync of a record seldom has to commit
// file-system metadata. Replay ends at the first record that is not whole. Not safe for concurrent
// use: one flush at a time appends.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cas/os/file.h"
#include "index/journal_record.h"

namespace casdisk {

class MapJournal {
 public:
  // Writes a journal that says `runs` and nothing else, and puts it in the place of `name`, if any,
  // in one step: on return it is durable; after a crash on the way the old one is still there.
  // `header.log_id` must be new and random.
  static Result<std::unique_ptr<MapJournal>> replace(Directory& directory, const std::string& name,
                                                     const JournalHeader& header,
                                                     std::span<const WordRun> runs);

  struct Replay {
    std::function<Result<void>(const WordRun&)> apply;   // empty: nobody wants the runs
    std::function<Result<void>(const RedoBlock&)> redo;  // empty: nobody wants the blocks
  };
  // Calls `apply` for every run of every whole record, in order, and `redo` for every block that
  // the overlay may lack: those after the last record that says it was synced. Fault::kDamaged when
  // the header is not that of this generation. Changes nothing.
  static Result<void> replay(Directory& directory, const std::string& name, uint64_t generation,
                             uint64_t chunk_count, const Replay& replay);

  // Durable on success. On an error nothing may be appended any more. Blocks need all of their
  // entry in one record: REQUIRES at most kMaxRunsPerRecord runs beside them.
  Result<void> append(const JournalEntry& entry);

  // Bytes in use, the header included.
  uint64_t size_bytes() const { return position_; }

 private:
  MapJournal(std::unique_ptr<File> file, const JournalHeader& header)
      : file_(std::move(file)), header_(header) {}
  Result<void> write_records(JournalEntry entry);
  Result<void> write_ahead(uint64_t needed_until);

  std::unique_ptr<File> file_;
  JournalHeader header_;
  uint64_t position_ = kJournalHeaderBytes;
  uint64_t zeroed_until_ = kJournalHeaderBytes;
};

}  // namespace casdisk
