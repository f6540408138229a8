// Headers and records of map journals: as they are, and with checksums that fit.
#include "index/journal_record.h"

#include <algorithm>

#include "cas/crc32c.h"
#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

constexpr size_t kChecksumAt = 4;  // of a record; counts as zero
constexpr size_t kMostBytes = size_t(8) << 20;

void check_record(const JournalHeader& header, uint64_t position, Bytes bytes) {
  const AllocationBound bound(kMostBytes);
  auto record = decode_journal_record(header, position, bytes);
  if (!record) return;
  CHECK(record->bytes <= bytes.size() && record->runs.size() <= kMaxRunsPerRecord);
  const JournalEntry entry{record->runs, record->redo, record->overlay_synced};
  CHECK(std::ranges::equal(encode_journal_record(header, position, entry),
                           std::span(bytes).first(record->bytes)));
  bytes.resize(record->bytes);
  CHECK(!decode_journal_record(header, position + 1, bytes));  // nor anywhere else
  bytes.pop_back();
  CHECK(!decode_journal_record(header, position, bytes));
}

// The record as its writer would have sealed it, of the length that its counts say: runs as many as
// there is room for, and up to two blocks of bytes that the input does not have.
Bytes mended(std::span<const std::byte> bytes) {
  if (bytes.size() < kJournalRecordHeaderBytes + kJournalRunBytes) return {};
  const size_t most = (bytes.size() - kJournalRecordHeaderBytes) / kJournalRunBytes;
  const uint32_t run_count = uint32_t(load_le<uint32_t>(&bytes[32]) % (most + 1));
  const uint16_t redo_count = uint16_t(load_le<uint16_t>(&bytes[36]) % 3);
  const size_t length = kJournalRecordHeaderBytes + run_count * kJournalRunBytes;
  Bytes record(bytes.begin(), bytes.begin() + ptrdiff_t(length));
  record.resize(length + redo_count * kJournalRedoBytes);
  for (uint16_t i = 0; i < redo_count; i++) {
    store_le(&record[length + i * kJournalRedoBytes], uint64_t(load_le<uint8_t>(&bytes[40 + i])));
  }
  store_le(&record[32], run_count);
  store_le(&record[36], redo_count);
  store_le(&record[kChecksumAt], uint32_t(0));
  const uint32_t checksum = crc32c(record);
  store_le(&record[kChecksumAt], checksum);
  return record;
}

void check_header(std::span<const std::byte> bytes) {
  const AllocationBound bound(kMostBytes);
  auto header = decode_journal_header(bytes);
  if (!header.ok()) return;
  auto again = decode_journal_header(encode_journal_header(header.value()));
  CHECK(again.ok() && again.value() == header.value());
}

void run(FuzzInput input) {
  const JournalHeader header{0x1122334455667788, 3, input.number<uint64_t>()};
  constexpr uint64_t kPosition = 4096;
  auto rest = input.rest();
  check_record(header, kPosition, Bytes(rest.begin(), rest.end()));
  check_record(header, kPosition, mended(rest));
  Bytes page(rest.begin(), rest.end());
  check_header(page);
  page.resize(kJournalHeaderBytes);
  store_le(&page[32], crc32c(std::span(page).first(32)));
  check_header(page);
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size));
  return 0;
}
