// Retention: which checkpoints of a disk are kept, by rules.
//
// A rule for hours, days, weeks, months or years keeps the newest checkpoint of each of the last N
// that have any. Calendars are those of UTC; weeks begin on Monday, as ISO 8601 counts them. What
// no rule keeps may go. retained() is a pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "index/records.h"
#include "index/store.h"

namespace casdisk {

struct RetentionRules {
  std::optional<uint64_t> last, hourly, daily, weekly, monthly, yearly;
  Labels labels;  // checkpoints that have one of them are kept
  bool is_empty() const {
    return !last && !hourly && !daily && !weekly && !monthly && !yearly && labels.empty();
  }
};

struct RetentionCandidate {
  std::string name;
  ChunkId id;
  int64_t time_ns = 0;
  Labels labels;
};

struct RetentionVerdict {
  RetentionCandidate checkpoint;
  std::vector<std::string> kept_by;  // such as "last", "daily", "label a=b"; none: it may go
};

// Newest first.
std::vector<RetentionVerdict> retained(std::vector<RetentionCandidate> checkpoints,
                                       const RetentionRules& rules);

// The sealed checkpoints of a disk that have a name. kNotFound.
Result<std::vector<RetentionCandidate>> retention_candidates(Store& store, const std::string& disk);

// Removes the names of those that still are what they were, in one transaction; gives how many.
Result<uint64_t> remove_checkpoints(Store& store, const std::string& disk,
                                    const std::vector<RetentionCandidate>& checkpoints);

}  // namespace casdisk
