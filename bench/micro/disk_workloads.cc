#include <memory>

#include "bench/micro/small_maps.h"
#include "bench/micro/workload.h"
#include "cas/os/posix_file_system.h"
#include "index/generation.h"
#include "index/lineage.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr uint64_t kDiskBytes = uint64_t(1) << 40;  // three levels of pages
constexpr uint64_t kRegionBlocks = 4096;            // 16 MiB
constexpr size_t kChunksPerRun = 16;

// A disk whose first blocks are written, and sealed where that is wanted.
struct WrittenDisk {
  explicit WrittenDisk(bool sealed) {
    must(Store::init(directory.path(), Codec::kNone, *files, *machine));
    StoreOptions options;
    options.file_system = files;
    options.machine = machine;
    options.write_behind = false;
    options.background_ingest = false;
    store = must(Store::open(directory.path(), options));
    must(create_disk(*store, "d", CreateOptions{kDiskBytes, {}}));
    disk = must(Disk::open(*store, "d", {}));
    for (uint64_t block = 0; block < kRegionBlocks; block++) {
      must(disk->write(block * kBlockBytes, random_bytes(block, kBlockBytes)));
    }
    must(disk->flush());
    if (sealed) must(disk->seal_all(1, no_progress));
    for (uint64_t block = 0; block < kRegionBlocks; block++) {
      must(disk->read(block * kBlockBytes, buffer));
    }
  }
  // Offsets that jump about, each block once in a round.
  uint64_t next_offset() { return i++ * 1597 % kRegionBlocks * kBlockBytes; }

  TemporaryDirectory directory;
  std::shared_ptr<FileSystem> files = std::make_shared<PosixFileSystem>();
  std::shared_ptr<Machine> machine = std::make_shared<SmallMaps>();
  std::unique_ptr<Store> store;
  std::shared_ptr<Disk> disk;
  Bytes buffer = Bytes(kBlockBytes);
  uint64_t i = 0;
};

Workload disk_read(const std::string& name, bool sealed) {
  return {name,
          [sealed] {
            auto written = std::make_shared<WrittenDisk>(sealed);
            return [written] {
              CHECK(written->disk->read(written->next_offset(), written->buffer).ok());
            };
          },
          kBlockBytes};
}

Workload disk_rewrite() {
  return {"disk_rewrite_4k",
          [] {
            auto written = std::make_shared<WrittenDisk>(false);
            return [written] {
              CHECK(written->disk->write(written->next_offset(), written->buffer).ok());
            };
          },
          kBlockBytes};
}

Workload disk_write_and_flush() {
  return {"disk_write_4k_and_flush",
          [] {
            auto written = std::make_shared<WrittenDisk>(false);
            return [written] {
              CHECK(written->disk->write(written->next_offset(), written->buffer).ok());
              CHECK(written->disk->flush().ok());
            };
          },
          kBlockBytes, false};
}

// A directory of its own.
struct Scratch {
  TemporaryDirectory place;
  PosixFileSystem files;
  std::unique_ptr<Directory> directory = must(files.open_directory(place.path()));
};

Workload page_lookup() {
  return {"page_lookup", [] {
            auto written = std::make_shared<WrittenDisk>(true);
            const HeadRecord head = written->disk->head();
            const Tree tree{head.root, chunks_for(head.size_bytes)};
            return [written, tree] {
              const uint64_t chunk = written->next_offset() / kChunkBytes;
              CHECK(lookup(written->store->chunks(), tree, chunk).ok());
            };
          }};
}

Workload dirty_map() {
  return {"dirty_map_word", [] {
            struct Map : Scratch {
              std::unique_ptr<LiveMap> map;
              uint64_t i = 0;
            };
            auto made = std::make_shared<Map>();
            made->map = must(LiveMap::create(*made->directory, "map", 1, chunks_for(kDiskBytes)));
            must(made->map->reserve(0, kRegionBlocks));
            return [made] {
              const uint64_t chunk = made->i++ * 1597 % kRegionBlocks;
              const ChunkWord word = made->map->get(chunk);
              made->map->set(chunk, with_state(word, blocks_mask(3, 1), BlockState::kData));
            };
          }};
}

Workload journal_append() {
  return {"journal_append",
          [] {
            struct Journal : Scratch {
              std::unique_ptr<MapJournal> journal;
              std::vector<WordRun> runs;
            };
            auto made = std::make_shared<Journal>();
            for (uint64_t i = 0; i < kChunksPerRun; i++) made->runs.push_back({i * 7, 1, kAllData});
            made->journal = must(MapJournal::replace(*made->directory, "journal",
                                                     {1, 1, chunks_for(kDiskBytes)}, made->runs));
            return [made] { CHECK(made->journal->append({.runs = made->runs}).ok()); };
          },
          0, false};
}

}  // namespace

std::vector<Workload> disk_workloads() {
  return {page_lookup(),
          dirty_map(),
          disk_read("disk_read_4k_sealed", true),
          disk_read("disk_read_4k_dirty", false),
          disk_rewrite(),
          disk_write_and_flush(),
          journal_append()};
}

}  // namespace casdisk
