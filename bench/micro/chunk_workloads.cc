#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>

#include "bench/micro/small_maps.h"
#include "bench/micro/workload.h"
#include "cas/codec.h"
#include "cas/local_store.h"
#include "cas/os/posix_file_system.h"
#include "tests/support/sample_data.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr size_t kChunks = 1024;  // 64 MiB
constexpr uint64_t kLocations = 200'000;

// A chunk of which a half can be compressed away, unlike any with another number.
Bytes chunk(uint64_t number) {
  Bytes bytes = random_bytes(number, kChunkBytes);
  for (size_t at = 0; at < bytes.size(); at += kBlockBytes) {
    std::fill_n(bytes.begin() + ptrdiff_t(at + kBlockBytes / 2), kBlockBytes / 2, std::byte(0));
  }
  return bytes;
}

// A store of its own with some chunks in it.
struct Chunks {
  Chunks(Codec codec, uint64_t cache_bytes) {
    LocalStoreOptions options;
    options.codec = codec;
    options.cache_bytes = cache_bytes;
    options.machine = &machine;
    store = must(LocalStore::open(files, directory.path(), options));
    for (size_t number = 0; number < kChunks; number++) {
      ids.push_back(must(store->put(ObjectKind::kChunk, chunk(number))));
    }
    must(store->sync());
    for (const ChunkId& id : ids) must(store->get(id));
  }
  const ChunkId& next() { return ids[i++ % ids.size()]; }

  TemporaryDirectory directory;
  PosixFileSystem files;
  SmallMaps machine;
  std::unique_ptr<LocalStore> store;
  std::vector<ChunkId> ids;
  size_t i = 0;
};

Workload hash() {
  return {"hash_64k",
          [] { return [bytes = chunk(1)] { CHECK(hash_of(bytes).bytes[0] != std::byte(1)); }; },
          kChunkBytes};
}

// What no chunk's way costs less than.
Workload copy() {
  Workload workload = {"copy_64k",
                       [] {
                         auto from = std::make_shared<std::vector<Bytes>>();
                         for (uint64_t i = 0; i < 8; i++) from->push_back(chunk(i));
                         return [from, to = std::make_shared<Bytes>(kChunkBytes),
                                 i = size_t(0)]() mutable {
                           std::ranges::copy((*from)[i++ % from->size()], to->begin());
                           benchmark::ClobberMemory();
                         };
                       },
                       kChunkBytes};
  workload.is_counted = false;
  return workload;
}

Workload decompression() {
  return {"decompress_zstd",
          [] {
            auto stored = std::make_shared<Bytes>(*compress(Codec::kZstd, chunk(1)));
            return [stored, plain = std::make_shared<Bytes>(kChunkBytes)] {
              must(decompress(Codec::kZstd, *stored, *plain));
            };
          },
          kChunkBytes};
}

// Of many chunks in turn: one alone would be learned by heart.
Workload compression(const std::string& name, Codec codec) {
  return {name,
          [codec] {
            auto chunks = std::make_shared<std::vector<Bytes>>();
            for (uint64_t i = 0; i < 64; i++) chunks->push_back(chunk(i));
            return [codec, chunks, i = size_t(0)]() mutable {
              (void)compress(codec, (*chunks)[i++ % chunks->size()]);
            };
          },
          kChunkBytes};
}

Workload cache_hit() {
  return {"cache_hit", [] {
            auto chunks = std::make_shared<Chunks>(Codec::kNone, uint64_t(256) << 20);
            return [chunks] { CHECK(chunks->store->get(chunks->next()).ok()); };
          }};
}

Workload pack_get(const std::string& name, Codec codec) {
  return {name,
          [codec] {
            auto chunks = std::make_shared<Chunks>(codec, 0);
            return [chunks] { CHECK(chunks->store->get(chunks->next()).ok()); };
          },
          kChunkBytes};
}

// 4 KiB of a raw chunk that is not in the cache.
Workload pack_read_block() {
  return {"pack_read_block",
          [] {
            auto chunks = std::make_shared<Chunks>(Codec::kNone, uint64_t(16) << 20);
            return [chunks, block = std::make_shared<Bytes>(kBlockBytes)] {
              const auto offset = uint32_t(chunks->i * 5 % kBlocksPerChunk) * kBlockBytes;
              CHECK(chunks->store->read_chunk(chunks->next(), offset, *block).ok());
            };
          },
          kBlockBytes};
}

// What it appends is known already after the first round, so each put gets a number of its own.
Workload pack_put() {
  return {"pack_put_zstd",
          [] {
            auto chunks = std::make_shared<Chunks>(Codec::kZstd, 0);
            auto bytes = std::make_shared<Bytes>(chunk(1));
            return [chunks, bytes] {
              store_le(bytes->data(), uint64_t(chunks->i++) + (uint64_t(1) << 60));
              CHECK(chunks->store->put(ObjectKind::kChunk, *bytes).ok());
            };
          },
          kChunkBytes};
}

Workload put_known() {
  return {"pack_put_known",
          [] {
            auto chunks = std::make_shared<Chunks>(Codec::kZstd, 0);
            return [chunks, bytes = chunk(7)] {
              CHECK(chunks->store->put(ObjectKind::kChunk, bytes).ok());
            };
          },
          kChunkBytes};
}

Workload location_lookup() {
  return {"lmdb_lookup", [] {
            struct Table {
              TemporaryDirectory directory;
              SmallMaps machine;
              std::unique_ptr<LocationTable> locations;
              uint64_t i = 0;
            };
            auto table = std::make_shared<Table>();
            table->locations =
                must(LocationTable::open(table->machine, table->directory.path(), {}));
            const uint64_t pack = must(table->locations->allocate_pack());
            std::vector<LocatedObject> objects;
            auto id_of = [](uint64_t number) {
              Bytes bytes(sizeof(number));
              store_le(bytes.data(), number);
              return hash_of(bytes);
            };
            for (uint64_t i = 0; i < kLocations; i++) {
              objects.push_back({id_of(i), {pack, 64 + i * 1000, 1000}});
            }
            must(table->locations->enter(objects));
            auto ids = std::make_shared<std::vector<ChunkId>>();
            for (uint64_t i = 0; i < 4096; i++) ids->push_back(id_of(i * 48));
            return [table, ids] {
              CHECK(table->locations->lookup((*ids)[table->i++ % ids->size()]).ok());
            };
          }};
}

}  // namespace

std::vector<Workload> chunk_workloads() {
  return {copy(),
          hash(),
          decompression(),
          compression("compress_zstd", Codec::kZstd),
          compression("compress_lz4", Codec::kLz4),
          cache_hit(),
          location_lookup(),
          pack_get("pack_get_raw", Codec::kNone),
          pack_get("pack_get_zstd", Codec::kZstd),
          pack_read_block(),
          pack_put(),
          put_known()};
}

}  // namespace casdisk
