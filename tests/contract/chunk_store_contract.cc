// What every ChunkStore must do.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <thread>

#include "cas/chunk_store.h"
#include "cas/local_store.h"
#include "cas/os/posix_file_system.h"
#include "tests/support/memory_store.h"
#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

struct Backend {
  std::string name;
  std::function<std::unique_ptr<ChunkStore>(FileSystem&, const std::string& directory)> open;
};

std::unique_ptr<ChunkStore> open_local(FileSystem& file_system, const std::string& directory,
                                       Codec codec) {
  auto store = LocalStore::open(file_system, directory, {.codec = codec});
  EXPECT_OK(store);
  return store.ok() ? std::move(store).value() : nullptr;
}

Backend local_backend(Codec codec) {
  return {"Local_" + std::string(codec_name(codec)),
          [codec](FileSystem& file_system, const std::string& directory) {
            return open_local(file_system, directory, codec);
          }};
}

Backend memory_backend() {
  return {"Memory",
          [](FileSystem&, const std::string&) { return std::make_unique<MemoryStore>(); }};
}

class ChunkStoreContract : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    store_ = GetParam().open(file_system_, directory_.path());
    ASSERT_NE(store_, nullptr);
  }
  ChunkId put(std::span<const std::byte> bytes, ObjectKind kind = ObjectKind::kChunk) {
    auto id = store_->put(kind, bytes);
    EXPECT_OK(id);
    return id.ok() ? id.value() : ChunkId();
  }

  TemporaryDirectory directory_;
  PosixFileSystem file_system_;
  std::unique_ptr<ChunkStore> store_;
};

INSTANTIATE_TEST_SUITE_P(All, ChunkStoreContract,
                         testing::Values(local_backend(Codec::kNone), local_backend(Codec::kLz4),
                                         local_backend(Codec::kZstd), memory_backend()),
                         [](const auto& test) { return test.param.name; });

TEST_P(ChunkStoreContract, GetsWhatWasPut) {
  for (bool synced : {false, true}) {
    for (const Bytes& bytes : {random_bytes(1), compressible_bytes(2), Bytes(kChunkBytes)}) {
      const ChunkId id = put(bytes);
      EXPECT_EQ(id, hash_of(bytes));
      if (synced) {
        ASSERT_OK(store_->sync());
      }
      auto object = store_->get(id);
      ASSERT_OK(object);
      EXPECT_EQ(*object.value(), bytes);
    }
  }
}

TEST_P(ChunkStoreContract, ShorterObjects) {
  for (size_t size : {size_t(1), size_t(17), size_t(4096), size_t(kMaxObjectBytes)}) {
    const Bytes bytes = compressible_bytes(size, size);
    for (ObjectKind kind : {ObjectKind::kPage, ObjectKind::kCheckpoint}) {
      auto object = store_->get(put(bytes, kind));
      ASSERT_OK(object);
      EXPECT_EQ(*object.value(), bytes);
    }
  }
}

TEST_P(ChunkStoreContract, RefusesImpossibleSizes) {
  EXPECT_FAULT(store_->put(ObjectKind::kChunk, random_bytes(1, kChunkBytes - 1)), Fault::kInvalid);
  EXPECT_FAULT(store_->put(ObjectKind::kPage, random_bytes(1, kMaxObjectBytes + 1)),
               Fault::kInvalid);
  EXPECT_FAULT(store_->put(ObjectKind::kPage, {}), Fault::kInvalid);
}

TEST_P(ChunkStoreContract, UnknownObjectIsNotFound) {
  const ChunkId id = hash_of(random_bytes(1));
  auto object = store_->get(id);
  ASSERT_FAULT(object, Fault::kNotFound);
  EXPECT_NE(object.error().context.find(to_hex(id)), std::string::npos);
  const ChunkId ids[] = {put(random_bytes(2)), id};
  EXPECT_FAULT(store_->get_many(ids), Fault::kNotFound);
}

TEST_P(ChunkStoreContract, PuttingAgainIsTheSame) {
  const ChunkId id = put(random_bytes(1));
  EXPECT_EQ(put(random_bytes(1)), id);
  ASSERT_OK(store_->sync());
  EXPECT_EQ(put(random_bytes(1)), id);
  ASSERT_OK(store_->sync());
  EXPECT_EQ(*store_->get(id).value(), random_bytes(1));
}

TEST_P(ChunkStoreContract, ManyKeepTheirOrder) {
  std::vector<ChunkId> ids;
  for (uint64_t i = 0; i < 100; i++) {
    ids.push_back(put(i % 2 ? random_bytes(i) : compressible_bytes(i)));
    if (i == 50) {
      ASSERT_OK(store_->sync());
    }
  }
  ids.push_back(ids[3]);
  std::swap(ids[0], ids[99]);
  for (int again = 0; again < 2; again++) {
    auto objects = store_->get_many(ids);
    ASSERT_OK(objects);
    ASSERT_EQ(objects.value().size(), ids.size());
    for (size_t i = 0; i < ids.size(); i++) EXPECT_EQ(hash_of(*objects.value()[i]), ids[i]);
  }
  auto none = store_->get_many({});
  ASSERT_OK(none);
  EXPECT_TRUE(none.value().empty());
}

TEST_P(ChunkStoreContract, PartsOfChunks) {
  const std::vector<Bytes> chunks = {random_bytes(1), compressible_bytes(2)};
  for (const Bytes& chunk : chunks) {
    const ChunkId id = put(chunk);
    for (int round = 0; round < 30; round++) {  // whatever a store does after so many
      for (const auto& [offset, length] : std::vector<std::pair<uint32_t, size_t>>{{0, 4096},
                                                                                   {61440, 4096},
                                                                                   {0, 65536},
                                                                                   {4095, 2},
                                                                                   {65535, 1},
                                                                                   {100, 32768},
                                                                                   {32768, 32768},
                                                                                   {7, 60000},
                                                                                   {12288, 16384},
                                                                                   {5, 0}}) {
        Bytes part(length);
        ASSERT_OK(store_->read_chunk(id, offset, part));
        ASSERT_TRUE(std::ranges::equal(part, std::span(chunk).subspan(offset, length)))
            << offset << " " << length;
      }
    }
  }
  Bytes part(4096);
  ASSERT_FAULT(store_->read_chunk(ChunkId{}, 0, part), Fault::kNotFound);
  const ChunkId page = put(random_bytes(3, 5000), ObjectKind::kPage);
  ASSERT_FAULT(store_->read_chunk(page, 0, part), Fault::kDamaged);
}

// Neighbours of the same id, parts of blocks, chunks that were asked for before, all in one batch.
TEST_P(ChunkStoreContract, ManyPartsAtOnce) {
  const std::vector<Bytes> chunks = {random_bytes(1), compressible_bytes(2), random_bytes(3),
                                     random_bytes(4)};
  std::vector<ChunkId> ids;
  for (const Bytes& chunk : chunks) ids.push_back(put(chunk));
  struct Wanted {
    size_t chunk;
    uint32_t offset;
    size_t length;
  };
  const std::vector<Wanted> wanted = {{0, 4096, 61440}, {1, 0, 65536},    {2, 0, 65536},
                                      {3, 0, 4096},     {3, 8192, 12288}, {2, 100, 5000},
                                      {0, 0, 65536},    {0, 0, 65536}};
  for (const bool whole : {false, true}) {
    for (int round = 0; round < 8; round++) {
      std::vector<Bytes> read;
      std::vector<ChunkPart> parts;
      for (const Wanted& want : wanted) read.emplace_back(want.length);
      for (size_t i = 0; i < wanted.size(); i++) {
        parts.push_back({ids[wanted[i].chunk], wanted[i].offset, read[i]});
      }
      ASSERT_OK(whole ? store_->read_whole(parts) : store_->read_parts(parts));
      for (size_t i = 0; i < wanted.size(); i++) {
        const auto expected =
            std::span(chunks[wanted[i].chunk]).subspan(wanted[i].offset, wanted[i].length);
        ASSERT_TRUE(std::ranges::equal(read[i], expected)) << whole << round << i;
      }
    }
  }
  Bytes chunk(kChunkBytes);
  ASSERT_FAULT(store_->read_parts(std::array{ChunkPart{ids[0], 0, chunk}, ChunkPart{{}, 0, chunk}}),
               Fault::kNotFound);
  const ChunkId page = put(random_bytes(3, 5000), ObjectKind::kPage);
  ASSERT_FAULT(store_->read_parts(std::array{ChunkPart{page, 0, chunk}}), Fault::kDamaged);
  ASSERT_OK(store_->read_parts({}));
}

// More than is fetched at once.
TEST_P(ChunkStoreContract, PartsOfHundredsOfChunks) {
  std::vector<ChunkId> ids;
  for (uint64_t i = 0; i < 150; i++) ids.push_back(put(random_bytes(i % 140)));
  std::vector<Bytes> read(ids.size(), Bytes(kBlockBytes));
  std::vector<ChunkPart> parts;
  for (size_t i = 0; i < ids.size(); i++) parts.push_back({ids[i], kBlockBytes, read[i]});
  for (const bool whole : {false, true}) {
    ASSERT_OK(whole ? store_->read_whole(parts) : store_->read_parts(parts));
    for (uint64_t i = 0; i < ids.size(); i++) {
      const Bytes chunk = random_bytes(i % 140);
      ASSERT_TRUE(std::ranges::equal(read[i], std::span(chunk).subspan(kBlockBytes, kBlockBytes)));
      std::ranges::fill(read[i], std::byte(0));
    }
  }
}

TEST_P(ChunkStoreContract, SyncWithNothingToDo) {
  EXPECT_OK(store_->sync());
  EXPECT_OK(store_->sync());
}

TEST_P(ChunkStoreContract, FromManyThreads) {
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      std::vector<ChunkId> ids;
      for (uint64_t i = 0; i < 20; i++) {
        const Bytes bytes = compressible_bytes(t % 2 * 1000 + i);  // two threads put the same
        auto id = store_->put(ObjectKind::kChunk, bytes);
        ASSERT_OK(id);
        auto object = store_->get(id.value());
        ASSERT_OK(object);
        EXPECT_EQ(*object.value(), bytes);
        ids.push_back(id.value());
        if (i % 8 == 7) {
          EXPECT_OK(store_->sync());
        }
      }
      EXPECT_OK(store_->get_many(ids));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace casdisk
