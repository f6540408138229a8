// Live maps as files: one is believed only when every byte of its header and its length are as they
// were written, and then its words are those of the file, or it is damaged.
#include "index/live_map.h"

#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_files.h"

namespace casdisk {
namespace {

constexpr const char* kName = "1.map";
constexpr uint64_t kChunkCounts[] = {1, 17, 16384, 16385, 40000};
constexpr size_t kHeaderBytes = 4096;
constexpr size_t kProvedBytes = 76;  // the fields and their checksum
constexpr size_t kPoisonAt = 80;

const MountProof kProof{"12345678-1234-1234-1234-123456789abc", 42};

Bytes written_map(ScratchFiles& files, uint64_t chunk_count) {
  auto map = LiveMap::create(files.directory(), kName, 7, chunk_count);
  CHECK(map.ok());
  map.value()->validate(kProof);
  map.value().reset();
  return files.read(kName);
}

// Changes words, bytes of the header or the length; says whether the header or length changed.
bool change(FuzzInput& input, Bytes& file) {
  const Bytes before = file;
  while (!input.empty()) {
    const uint64_t what = input.below(16);
    if (what == 0) {
      file[input.below(kHeaderBytes)] = std::byte(input.number<uint8_t>());
    } else if (what == 1) {
      file.resize(file.size() + input.below(8192));
    } else if (what == 2) {
      file.resize(std::max(file.size(), kHeaderBytes + 8192) - input.below(8192));
    } else if (file.size() >= kHeaderBytes + 4) {
      const uint64_t word = input.below((file.size() - kHeaderBytes) / 4);
      auto value = input.number<uint32_t>();
      if (what > 3) value &= kAllData;  // mostly valid
      store_le(&file[kHeaderBytes + 4 * word], value);
    }
  }
  return file.size() != before.size() ||
         !same_bytes(std::span(file).first(kProvedBytes), std::span(before).first(kProvedBytes));
}

void check_words(LiveMap& map, std::span<const std::byte> file, uint64_t chunk_count) {
  uint64_t next_dirty = map.next_dirty(0, chunk_count);
  for (uint64_t chunk = 0; chunk < chunk_count; chunk++) {
    const auto word = load_le<ChunkWord>(&file[kHeaderBytes + 4 * chunk]);
    CHECK(map.get(chunk) == word);
    if (word == kAllClean) continue;
    CHECK(chunk == next_dirty);
    next_dirty = map.next_dirty(chunk + 1, chunk_count);
  }
  CHECK(next_dirty == chunk_count);
}

bool all_valid(std::span<const std::byte> file, uint64_t chunk_count) {
  for (uint64_t chunk = 0; chunk < chunk_count; chunk++) {
    if (!is_valid(load_le<ChunkWord>(&file[kHeaderBytes + 4 * chunk]))) return false;
  }
  return true;
}

void run(FuzzInput input) {
  static ScratchFiles files;
  const uint64_t chunk_count = kChunkCounts[input.below(std::size(kChunkCounts))];
  Bytes file = written_map(files, chunk_count);
  const bool is_other = change(input, file);
  files.write(kName, file);

  auto map = LiveMap::open(files.directory(), kName, 7, chunk_count, kProof);
  if (is_other) {
    CHECK(map.ok() && map.value() == nullptr);
    return;
  }
  CHECK(map.ok() == all_valid(file, chunk_count));
  if (!map.ok()) {
    CHECK(map.error().fault == Fault::kDamaged);
    return;
  }
  CHECK(map.value() != nullptr);
  CHECK(map.value()->poisoned() == (file[kPoisonAt] != std::byte(0)));
  check_words(*map.value(), file, chunk_count);
  MountProof other_mount = kProof;
  other_mount.mount_id++;
  auto not_ours = LiveMap::open(files.directory(), kName, 7, chunk_count, other_mount);
  CHECK(not_ours.ok() && not_ours.value() == nullptr);
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size));
  return 0;
}
