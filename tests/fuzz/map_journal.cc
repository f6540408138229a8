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

// What a journal says: the runs, and of the blocks to be redone number and first byte.
struct Said {
  Runs runs;
  std::vector<std::pair<uint64_t, std::byte>> redo;
  bool operator==(const Said&) const = default;
};

Result<Said> replayed(Directory& directory, const JournalHeader& header) {
  Said said;
  auto apply = [&](const WordRun& run) -> Result<void> {
    said.runs.push_back(run);
    return {};
  };
  auto redo = [&](const RedoBlock& block) -> Result<void> {
    CHECK(block.bytes.size() == kBlockBytes);
    said.redo.emplace_back(block.block, block.bytes[0]);
    return {};
  };
  TRY(MapJournal::replay(directory, kName, header.generation, header.chunk_count, {apply, redo}));
  return said;
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
  // Blocks, or that the overlay was synced, or neither.
  std::vector<RedoBlock> redo;
  std::vector<Bytes> contents;
  const uint64_t kind = input.below(4);
  for (uint64_t left = kind < 2 ? input.below(4) : 0; left > 0; left--) {
    contents.emplace_back(kBlockBytes, std::byte(input.number<uint8_t>()));
    const uint64_t block_count = std::min<uint64_t>(header.chunk_count, 1 << 20) * kBlocksPerChunk;
    redo.push_back({input.below(block_count), {}});
  }
  for (size_t i = 0; i < redo.size(); i++) redo[i].bytes = contents[i];
  Bytes record = encode_journal_record(header, position,
                                       {.runs = runs, .redo = redo, .overlay_synced = kind == 2});
  if (flaw == 6) record.resize(input.below(record.size()));
  if (flaw == 7) record[input.below(record.size())] ^= std::byte(1 + input.below(255));
  if (flaw == 8) record.insert(record.end(), 16, std::byte(0));
  return record;
}

// What a reader without windows finds.
Said expected(const JournalHeader& header, std::span<const std::byte> file) {
  Said said;
  uint64_t position = kJournalHeaderBytes;
  while (auto record = decode_journal_record(header, position, file.subspan(position))) {
    said.runs.insert(said.runs.end(), record->runs.begin(), record->runs.end());
    if (record->overlay_synced) said.redo.clear();
    for (const RedoBlock& redo : record->redo) said.redo.emplace_back(redo.block, redo.bytes[0]);
    position += record->bytes;
    if (position >= file.size()) break;
  }
  return said;
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
  CHECK(found.value() == expected(header, file));
  CHECK(files.read(kName) == file);  // replay changes nothing
  if (!is_replaced) return;
  auto journal = MapJournal::replace(files.directory(), kName, header, found.value().runs);
  CHECK(journal.ok());
  Said all{found.value().runs, {}};
  if (!all.runs.empty()) {
    CHECK(journal.value()->append({.runs = std::span(all.runs).first(1)}).ok());
    all.runs.push_back(all.runs.front());
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
