// chain_of_checkpoints STORE DISK COUNT: makes COUNT checkpoints of a disk, c1 to cCOUNT, and
// changes a few chunks before each, the same ones on every run. Prints nothing unless it fails.
#include <fmt/format.h>

#include <cstdlib>
#include <random>

#include "index/disk.h"
#include "index/store.h"

namespace casdisk {
namespace {

constexpr unsigned kChunksPerCheckpoint = 4;

// Half of what it writes compresses.
Bytes content(std::mt19937_64& random) {
  Bytes bytes(kChunkBytes);
  for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = at % 16 == 0 ? random() : 0;
    std::memcpy(&bytes[at], &word, sizeof(word));
  }
  return bytes;
}

// As a process of its own would: with packs of its own.
Result<void> checkpoint(const std::string& path, const std::string& name, unsigned number,
                        std::mt19937_64& random) {
  TRY_ASSIGN(auto store, Store::open(path, {}));
  TRY_ASSIGN(auto disk, Disk::open(*store, name, {}));
  for (unsigned i = 0; i < kChunksPerCheckpoint; i++) {
    uint64_t chunk = random() % (disk->size_bytes() / kChunkBytes);
    TRY(disk->write(chunk * kChunkBytes, content(random)));
  }
  TRY(disk->cut({fmt::format("c{}", number), {}, {}}));
  return disk->seal(1, [](uint64_t) {});
}

Result<void> run(const std::string& path, const std::string& name, unsigned count) {
  std::mt19937_64 random(count);
  for (unsigned i = 1; i <= count; i++) TRY(checkpoint(path, name, i, random));
  return {};
}

}  // namespace
}  // namespace casdisk

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: chain_of_checkpoints STORE DISK COUNT\n");
    return 2;
  }
  auto done = casdisk::run(argv[1], argv[2], unsigned(std::strtoul(argv[3], nullptr, 10)));
  if (done.ok()) return 0;
  fmt::print(stderr, "chain_of_checkpoints: {}\n", casdisk::describe(done.error()));
  return 1;
}
