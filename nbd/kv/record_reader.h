// RecordReader: the records of a file or of stdin, checked one by one against a store's limits.
//
// Every error names the file and the line. Not safe for concurrent use.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cas/kv/kv_store.h"
#include "nbd/kv/line_reader.h"

namespace casdisk {

enum class RecordForm {
  kText,  // record_text.h; lines of spaces and tabs alone are skipped
  kJson,  // record_json.h, likewise
};

class RecordReader {
 public:
  // `path` "-" is stdin. A line has room for the largest record of `store`, which outlives this.
  static Result<RecordReader> open(const std::string& path, RecordForm form, const KvStore& store);

  // Nothing at the end. kInvalid, kTooLarge, kUnsupported (one that expires, where none can): the
  // store would refuse it.
  Result<std::optional<KvRecord>> next();

  uint64_t line_number() const { return lines_.number(); }  // of the last record
  const LineReader& lines() const { return lines_; }

 private:
  RecordReader(LineReader lines, RecordForm form, const KvStore& store)
      : lines_(std::move(lines)),
        form_(form),
        checks_(store.name(), store.limits(), store.capabilities()) {}
  Result<KvRecord> decode(std::string_view line) const;

  LineReader lines_;
  // Fixed after construction.
  const RecordForm form_;
  const KvChecks checks_;
};

// What a load holds in memory at most, keys, values and what else a record takes.
inline constexpr size_t kMaxLoadBytes = size_t(1) << 30;

enum class Duplicates { kRefused, kKept };  // several records of one key

// All of them, for KvStore::load() or append(). kTooLarge beyond `most_bytes`; kInvalid for a key
// that is there twice and must not be.
Result<std::vector<KvRecord>> read_records(RecordReader& reader, Duplicates duplicates,
                                           size_t most_bytes = kMaxLoadBytes);

}  // namespace casdisk
