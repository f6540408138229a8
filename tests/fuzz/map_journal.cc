// Map journals as files: replaying any bytes gives the runs of the whole records at their
// beginning, and a journal that is made of those runs says the same.
#include "index/map_journal.h"

#include "cas/crc32c.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_files.h"

namespace casdisk {
namespace {

constexpr const char* kName = "1.journal";

using Runs = std::vector<WordRun>;

Result<Runs> replayed(Directory& directory, const JournalHeader& header) {
  Runs runs;
  TRY(MapJournal::replay(directory, kName, header.generation, header.chunk_count,
                         [&](const WordRun& run) -> Result<void> {
                           runs.push_back(run);
                           return {};
                         }));
  return runs;
}

// A record that the input chooses: mostly whole, of this journal, at its place.
Bytes record_from(FuzzInput& input, JournalHeader header, uint64_t position) {
  const uint64_t flaw = input.below(40);
  if (flaw == 1) header.log_id++;
  if (flaw == 2) header.generation++;
  if (flaw == 3) position += 4096;
  if (flaw == 4) header.chunk_count = UINT64_MAX;
  Runs runs;
  if (flaw == 5) {  // as long as can be, so that a reader needs more than one piece
    const WordRun run{input.below(header.chunk_count), 1, kAllData};
    runs.assign(kMaxRunsPerRecord, run);
  }
  for (uint64_t left = flaw == 5 ? 0 : input.below(8) + 1; left > 0; left--) {
    WordRun run;
    run.first = input.below(header.chunk_count);
    run.count = uint32_t(1 + input.below(std::min<uint64_t>(header.chunk_count - run.first, 300)));
    const auto mask = input.number<uint16_t>();
    run.word =
        with_state(kAllClean, mask, input.below(2) == 0 ? BlockState::kData : BlockState::kZero);
    runs.push_back(run);
  }
  Bytes record = encode_journal_record(header, position, runs);
  if (flaw == 6) record.resize(input.below(record.size()));
  if (flaw == 7) record[input.below(record.size())] ^= std::byte(1 + input.below(255));
  if (flaw == 8) record.insert(record.end(), 16, std::byte(0));
  return record;
}

// What a reader without windows finds.
Runs expected_runs(const JournalHeader& header, std::span<const std::byte> file) {
  Runs runs;
  uint64_t position = kJournalHeaderBytes;
  while (auto record = decode_journal_record(header, position, file.subspan(position))) {
    runs.insert(runs.end(), record->runs.begin(), record->runs.end());
    position += record->bytes;
    if (position >= file.size()) break;
  }
  return runs;
}

void run(FuzzInput input) {
  static ScratchFiles files;
  const JournalHeader header{input.number<uint8_t>(), 3, 1 + input.below(uint64_t(1) << 20)};
  Bytes file = encode_journal_header(header);
  const bool flawed_header = input.below(16) == 0;
  if (flawed_header) file[input.below(36)] ^= std::byte(1 + input.below(255));
  const bool is_replaced = input.below(8) == 0;
  while (!input.empty()) {
    const Bytes record = record_from(input, header, file.size());
    file.insert(file.end(), record.begin(), record.end());
  }
  files.write(kName, file);

  auto found = replayed(files.directory(), header);
  CHECK(found.ok() != flawed_header);
  if (!found.ok()) {
    CHECK(found.error().fault == Fault::kDamaged);
    return;
  }
  CHECK(found.value() == expected_runs(header, file));
  CHECK(files.read(kName) == file);  // replay changes nothing
  if (!is_replaced) return;
  auto journal = MapJournal::replace(files.directory(), kName, header, found.value());
  CHECK(journal.ok());
  Runs all = found.value();
  if (!all.empty()) {
    CHECK(journal.value()->append(std::span(all).first(1)).ok());
    all.push_back(all.front());
  }
  auto again = replayed(files.directory(), header);
  CHECK(again.ok() && again.value() == all);
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size));
  return 0;
}
