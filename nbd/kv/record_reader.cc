#include "nbd/kv/record_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "nbd/kv/record_json.h"
#include "nbd/kv/record_text.h"
#include "nbd/size_text.h"

namespace casdisk {
namespace {

// Of a record in memory, beside its bytes: itself, its line's number, and what the heap adds.
constexpr size_t kRecordBytes = sizeof(KvRecord) + sizeof(uint64_t) + 64;

size_t max_line_bytes(RecordForm form, const KvLimits& limits) {
  const size_t record_bytes = limits.key_bytes + limits.value_bytes;
  return form == RecordForm::kText ? kMaxLineHeadBytes + kMaxEscapedBytes * record_bytes
                                   : kMaxJsonHeadBytes + kMaxJsonBytes * record_bytes;
}

// Two records of one key, by their lines.
Result<void> expect_distinct_keys(const std::vector<KvRecord>& records,
                                  const std::vector<uint64_t>& line_numbers,
                                  const std::string& name) {
  std::vector<size_t> order(records.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::stable_sort(order, {}, [&](size_t i) { return std::string_view(records[i].key); });
  const auto twice = std::ranges::adjacent_find(
      order, [&](size_t a, size_t b) { return records[a].key == records[b].key; });
  if (twice == order.end()) return {};
  return Error{Fault::kInvalid, 0,
               fmt::format("{}:{}: key {} is in line {} already, and this kind of store has one "
                           "record for each key",
                           name, line_numbers[*(twice + 1)], kv_quote(records[*twice].key),
                           line_numbers[*twice])};
}

}  // namespace

Result<RecordReader> RecordReader::open(const std::string& path, RecordForm form,
                                        const KvStore& store) {
  TRY_ASSIGN(auto lines, LineReader::open(path, max_line_bytes(form, store.limits())));
  return RecordReader(std::move(lines), form, store);
}

Result<KvRecord> RecordReader::decode(std::string_view line) const {
  auto record = form_ == RecordForm::kText ? decode_record_line(line) : decode_record_json(line);
  if (!record.ok()) return record;
  TRY(checks_.record(record.value().key, record.value().value.bytes));
  TRY(checks_.expiry(record.value().value.expires_at_ms));
  return record;
}

Result<std::optional<KvRecord>> RecordReader::next() {
  for (;;) {
    TRY_ASSIGN(const auto line, lines_.next());
    if (!line) return std::optional<KvRecord>();
    if (line->find_first_not_of(" \t") == line->npos) continue;
    auto record = decode(*line);
    if (!record.ok()) return lines_.at_line(std::move(record.error()));
    return std::optional(std::move(record).value());
  }
}

Result<std::vector<KvRecord>> read_records(RecordReader& reader, Duplicates duplicates,
                                           size_t most_bytes) {
  std::vector<KvRecord> records;
  std::vector<uint64_t> line_numbers;
  size_t bytes = 0;
  for (;;) {
    TRY_ASSIGN(auto record, reader.next());
    if (!record) break;
    bytes += kRecordBytes + record->key.size() + record->value.bytes.size();
    if (bytes > most_bytes) {
      return reader.lines().at_line(
          Error{Fault::kTooLarge, 0,
                fmt::format("what is one step is held in memory, {} of it at most; put the rest "
                            "into a store of its own, and `casdisk kv copy --merge` that",
                            size_text(most_bytes)),
                most_bytes, bytes});
    }
    records.push_back(std::move(*record));
    line_numbers.push_back(reader.line_number());
  }
  if (duplicates == Duplicates::kRefused) {
    TRY(expect_distinct_keys(records, line_numbers, reader.lines().name()));
  }
  return records;
}

}  // namespace casdisk
