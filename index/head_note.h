// The head's note: a copy of a disk's head record in the directory of its generations,
// disks/<uid>/.
//
// The catalog is the truth, and nothing reads a note while there is one. Should the catalog be
// lost, the note says which disk the generations beside it belong to, and what lies under them:
// without it what was written and not sealed would be bytes without a name. Written after each
// change of the record by whoever holds the disk, replaced as a whole (FORMAT.md, Ordering).
#pragma once

#include <optional>
#include <string>

#include "cas/os/file.h"
#include "index/records.h"

namespace casdisk {

struct HeadNote {
  std::string disk;
  HeadRecord head;
  std::optional<FallbackRecord> fallback;  // that the head uses, as it was when it was opened
};

// Pure: the bytes of a note and back. kDamaged, kUnsupported.
Bytes encode(const HeadNote& note);
Result<HeadNote> decode_head_note(std::span<const std::byte> bytes);

// Durable on return.
Result<void> write_head_note(Directory& disk_directory, const HeadNote& note);

// Nothing where there is none.
Result<std::optional<HeadNote>> read_head_note(Directory& disk_directory);

}  // namespace casdisk
