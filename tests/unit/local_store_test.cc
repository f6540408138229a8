#include "cas/local_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cas/os/posix_file_system.h"
#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

class LocalStoreTest : public testing::Test {
 protected:
  LocalStoreTest() { reopen(); }

  void reopen(LocalStoreOptions options = {}) {
    store_.reset();
    auto store = LocalStore::open(file_system_, directory_.path(), options);
    ASSERT_OK(store);
    store_ = std::move(store).value();
  }

  ChunkId put(std::span<const std::byte> bytes) {
    auto id = store_->put(ObjectKind::kChunk, bytes);
    EXPECT_OK(id);
    return id.ok() ? id.value() : ChunkId();
  }

  // Puts a chunk into a store that is closed afterwards: nothing of it stays in memory.
  ChunkId put_and_reopen(std::span<const std::byte> bytes) {
    const ChunkId id = put(bytes);
    EXPECT_OK(store_->sync());
    reopen();
    return id;
  }

  std::vector<std::string> packs() const {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "packs")) {
      paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    return paths;
  }

  // As if memory was wrong when the first record was made: every checksum holds, the hash does not.
  void put_under_another_name(const ChunkId& id) const {
    Bytes other = random_bytes(1);
    other[0] ^= std::byte(1);
    const Bytes record = encode_record(ObjectKind::kChunk, id, kChunkBytes, Codec::kNone, other);
    std::fstream file(packs()[0], std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(std::streamoff(kPackHeaderBytes));
    file.write(reinterpret_cast<const char*>(record.data()), std::streamsize(record.size()));
    ASSERT_TRUE(file.good());
  }

  static void flip_bit(const std::string& path, uint64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(std::streamoff(offset));
    const int byte = file.get();
    file.seekp(std::streamoff(offset));
    file.put(char(byte ^ 1));
    ASSERT_TRUE(file.good());
  }

  // The table has it, and nobody has found it damaged.
  bool trusts(const ChunkId& id) {
    const auto entry = store_->locations().lookup(id).value();
    return entry && !entry->damaged;
  }

  // The error names the chunk, its pack and its offset, and is not "no such object".
  void expect_damaged(const ChunkId& id, std::string_view what) {
    const ChunkId ids[] = {id, id};
    for (const Error& error : {store_->get(id).error(), store_->get_many(ids).error()}) {
      EXPECT_EQ(error.fault, Fault::kDamaged);
      EXPECT_NE(error.context.find("chunk " + to_hex(id) + " in pack 0000000000000001 at offset "),
                std::string::npos)
          << error.context;
      EXPECT_NE(error.context.find(what), std::string::npos) << error.context;
    }
    EXPECT_FALSE(trusts(id));
  }

  // Putting the same bytes again stores another copy, which is then the one that counts.
  void expect_heals(std::span<const std::byte> bytes) {
    const uint64_t before = store_->counters().new_object_count;
    const ChunkId id = put(bytes);
    EXPECT_EQ(store_->counters().new_object_count, before + 1);
    EXPECT_OK(store_->get(id));
    ASSERT_OK(store_->sync());
    reopen();
    EXPECT_TRUE(trusts(id));
    auto object = store_->get(id);
    ASSERT_OK(object);
    EXPECT_TRUE(std::ranges::equal(*object.value(), bytes));
  }

  TemporaryDirectory directory_;
  PosixFileSystem file_system_;
  std::unique_ptr<LocalStore> store_;
};

constexpr uint64_t kFirstPayload =
    kPackHeaderBytes + kRecordHeaderBytes + 4 * kBlocksPerChunk;  // of a raw chunk

TEST_F(LocalStoreTest, StoresEqualObjectsOnce) {
  EXPECT_TRUE(packs().empty());
  put(random_bytes(1));
  put(random_bytes(1));
  ASSERT_OK(store_->sync());
  put(random_bytes(1));
  reopen();
  put(random_bytes(1));
  EXPECT_EQ(store_->counters().put_count, 1u);
  EXPECT_EQ(store_->counters().new_object_count, 0u);
  ASSERT_EQ(packs().size(), 1u);
  EXPECT_EQ(std::filesystem::file_size(packs()[0]), kPackHeaderBytes + kMaxRecordBytes);
}

TEST_F(LocalStoreTest, CountsWhatItStores) {
  put(compressible_bytes(1));
  put(compressible_bytes(1));
  put(random_bytes(2));
  EXPECT_EQ(store_->counters().put_count, 3u);
  EXPECT_EQ(store_->counters().new_object_count, 2u);
  ASSERT_OK(store_->sync());
  EXPECT_EQ(store_->counters().new_stored_bytes + kPackHeaderBytes,
            std::filesystem::file_size(packs()[0]));
}

TEST_F(LocalStoreTest, ReadsThroughTheCache) {
  const ChunkId id = put_and_reopen(random_bytes(1));
  ASSERT_OK(store_->get(id));
  std::filesystem::remove(packs()[0]);
  EXPECT_OK(store_->get(id));
  EXPECT_EQ(store_->cache().counters().hit_count, 1u);
}

TEST_F(LocalStoreTest, PutsAreNotKeptInTheCache) {
  put(random_bytes(1));
  EXPECT_EQ(store_->cache().counters().used_bytes, 0u);
}

TEST_F(LocalStoreTest, RollsOverToAnotherPack) {
  reopen({.codec = Codec::kNone, .max_pack_bytes = 3 * kMaxRecordBytes});
  std::vector<ChunkId> ids;
  for (uint64_t i = 0; i < 7; i++) ids.push_back(put(random_bytes(i)));
  EXPECT_EQ(packs().size(), 4u);
  for (const std::string& path : packs()) {
    EXPECT_LE(std::filesystem::file_size(path), 3 * kMaxRecordBytes);
  }
  EXPECT_OK(store_->get_many(ids));
  ASSERT_OK(store_->sync());
  reopen();
  EXPECT_OK(store_->get_many(ids));
}

TEST_F(LocalStoreTest, FlippedBitIsFoundAndHealed) {
  for (const Bytes& bytes : {random_bytes(1), compressible_bytes(2)}) {
    const ChunkId id = put_and_reopen(bytes);
    const std::string pack = packs().back();
    flip_bit(pack, std::filesystem::file_size(pack) - 100);
    auto object = store_->get(id);
    ASSERT_FAULT(object, Fault::kDamaged);
    EXPECT_NE(object.error().context.find(to_hex(id)), std::string::npos);
    EXPECT_NE(object.error().context.find(" at offset 64: "), std::string::npos);
    expect_heals(bytes);
  }
}

TEST_F(LocalStoreTest, ABlockIsReadAloneUntilItsChunkIsAskedForOften) {
  const Bytes bytes = random_bytes(1);
  const ChunkId id = put_and_reopen(bytes);
  Bytes block(kBlockBytes);
  for (const uint32_t i : {3u, 9u, 1u, 14u}) {
    ASSERT_OK(store_->read_chunk(id, i * kBlockBytes, block));
    EXPECT_TRUE(std::ranges::equal(block, std::span(bytes).subspan(i * kBlockBytes, kBlockBytes)));
  }
  EXPECT_EQ(store_->cache().counters().used_bytes, 0u);
  for (uint32_t i = 0; i < 20; i++)
    ASSERT_OK(store_->read_chunk(id, i * 7 % 16 * kBlockBytes, block));
  EXPECT_GT(store_->cache().counters().used_bytes, kChunkBytes);
}

TEST_F(LocalStoreTest, AChunkThatIsReadFromItsBeginningOnIsLoaded) {
  const ChunkId id = put_and_reopen(random_bytes(1));
  Bytes block(kBlockBytes);
  for (uint32_t i = 0; i < 5; i++) ASSERT_OK(store_->read_chunk(id, i * kBlockBytes, block));
  EXPECT_GT(store_->cache().counters().used_bytes, kChunkBytes);
}

// Whoever copies a disk reads every chunk once, and leaves the cache to others.
TEST_F(LocalStoreTest, AWholeChunkIsLoadedByItsSecondRead) {
  const std::vector<Bytes> chunks = {random_bytes(1), random_bytes(2)};
  std::vector<ChunkId> ids;
  for (const Bytes& chunk : chunks) ids.push_back(put_and_reopen(chunk));
  std::vector<Bytes> read(chunks.size(), Bytes(kChunkBytes));
  for (int round = 0; round < 3; round++) {
    ASSERT_OK(store_->read_parts(
        std::array{ChunkPart{ids[0], 0, read[0]}, ChunkPart{ids[1], 0, read[1]}}));
    EXPECT_EQ(read, chunks);
    EXPECT_EQ(store_->cache().counters().used_bytes > 2 * kChunkBytes, round > 0) << round;
  }
  reopen();
  for (int round = 0; round < 3; round++) {
    ASSERT_OK(store_->read_chunk(ids[0], 0, read[0]));
    EXPECT_EQ(read[0], chunks[0]);
    EXPECT_EQ(store_->cache().counters().used_bytes > 0, round > 0) << round;
  }
}

TEST_F(LocalStoreTest, WhatIsStoredAnewIsCheckedAgainstItsId) {
  const ChunkId id = put_and_reopen(random_bytes(1));
  put_under_another_name(id);
  Bytes read(kChunkBytes);
  const std::array parts = {ChunkPart{id, 0, read}};
  ASSERT_OK(store_->read_parts(parts));  // the checksums of its blocks hold
  ASSERT_FAULT(store_->read_whole(parts), Fault::kDamaged);
  for (int i = 0; i < 3; i++) {
    ASSERT_FAULT(store_->read_parts(parts), Fault::kDamaged);
    ASSERT_FAULT(store_->read_chunk(id, 0, read), Fault::kDamaged);
  }
}

TEST_F(LocalStoreTest, DamageInOneOfManyPartsIsFoundAndNamed) {
  const std::vector<Bytes> chunks = {random_bytes(1), random_bytes(2), random_bytes(3)};
  std::vector<ChunkId> ids;
  for (const Bytes& chunk : chunks) ids.push_back(put(chunk));
  ASSERT_OK(store_->sync());
  reopen();
  std::vector<Bytes> read(chunks.size(), Bytes(kChunkBytes));
  std::vector<ChunkPart> parts;
  for (size_t i = 0; i < ids.size(); i++) parts.push_back({ids[i], 0, read[i]});
  flip_bit(packs()[0], kFirstPayload + kRawChunkRecordBytes + 5 * kBlockBytes + 17);
  for (const bool reopened : {false, true}) {
    if (reopened) reopen();
    auto done = store_->read_parts(parts);
    ASSERT_FAULT(done, Fault::kDamaged);
    EXPECT_NE(done.error().context.find(to_hex(ids[1])), std::string::npos);
  }
  EXPECT_FALSE(trusts(ids[1]));
  EXPECT_TRUE(trusts(ids[2]));
}

TEST_F(LocalStoreTest, ADamagedBlockIsNotServedAndItsNeighboursAreUntilItIsFound) {
  const Bytes bytes = random_bytes(1);
  const ChunkId id = put_and_reopen(bytes);
  Bytes block(kBlockBytes);
  ASSERT_OK(store_->read_chunk(id, 0, block));  // its checksums are known now
  flip_bit(packs()[0], kFirstPayload + 5 * kBlockBytes + 17);
  ASSERT_OK(store_->read_chunk(id, 6 * kBlockBytes, block));
  EXPECT_TRUE(std::ranges::equal(block, std::span(bytes).subspan(6 * kBlockBytes, kBlockBytes)));
  for (const bool reopened : {false, true}) {
    if (reopened) reopen();
    ASSERT_FAULT(store_->read_chunk(id, 5 * kBlockBytes, block), Fault::kDamaged);
    ASSERT_FAULT(store_->read_chunk(id, 6 * kBlockBytes, block), Fault::kDamaged);
    ASSERT_FAULT(store_->read_chunk(id, 5 * kBlockBytes + 100, std::span(block).first(10)),
                 Fault::kDamaged);
  }
  EXPECT_FALSE(trusts(id));
}

TEST_F(LocalStoreTest, WhatDoesNotHashToItsNameIsNotServedByBlocksOnceThatIsKnown) {
  const ChunkId id = put_and_reopen(random_bytes(1));
  put_under_another_name(id);
  Bytes block(kBlockBytes);
  ASSERT_OK(store_->read_chunk(id, 0, block));  // its own checksum holds
  ASSERT_FAULT(store_->get(id), Fault::kDamaged);
  for (int i = 0; i < 30; i++) {
    ASSERT_FAULT(store_->read_chunk(id, uint32_t(i % 16) * kBlockBytes, block), Fault::kDamaged);
  }
  expect_heals(random_bytes(1));
}

TEST_F(LocalStoreTest, ADamagedHeaderIsFoundByAReadOfABlock) {
  const ChunkId id = put_and_reopen(random_bytes(1));
  flip_bit(packs()[0], kPackHeaderBytes + kRecordHeaderBytes + 4);  // a payload checksum
  Bytes block(kBlockBytes);
  ASSERT_FAULT(store_->read_chunk(id, 6 * kBlockBytes, block), Fault::kDamaged);
}

TEST_F(LocalStoreTest, DamageNamesItsBlock) {
  const ChunkId id = put_and_reopen(random_bytes(1));
  flip_bit(packs()[0], kFirstPayload + 5 * kBlockBytes);
  expect_damaged(id, "wrong checksum of block 5");
  reopen();
  expect_damaged(id, "wrong checksum of block 5");  // still says what is wrong, not "no such chunk"
  expect_heals(random_bytes(1));
}

TEST_F(LocalStoreTest, DamagedRecordHeader) {
  const ChunkId id = put_and_reopen(random_bytes(1));
  flip_bit(packs()[0], kPackHeaderBytes + 20);
  expect_damaged(id, "record header: wrong checksum");
  expect_heals(random_bytes(1));
}

TEST_F(LocalStoreTest, RecordThatNamesAnotherChunk) {
  const ChunkId id = put(random_bytes(1));
  put_and_reopen(random_bytes(2));
  Bytes record(kMaxRecordBytes);
  std::fstream pack(packs()[0], std::ios::in | std::ios::out | std::ios::binary);
  pack.seekg(kPackHeaderBytes + kMaxRecordBytes);
  pack.read(reinterpret_cast<char*>(record.data()), std::streamsize(record.size()));
  pack.seekp(kPackHeaderBytes);
  pack.write(reinterpret_cast<const char*>(record.data()), std::streamsize(record.size()));
  pack.close();
  expect_damaged(id, "names another chunk, " + to_hex(hash_of(random_bytes(2))));
  EXPECT_OK(store_->get(hash_of(random_bytes(2))));
  expect_heals(random_bytes(1));
}

TEST_F(LocalStoreTest, ZeroedPackIsNotServedAsZeros) {
  const ChunkId id = put_and_reopen(random_bytes(1));
  const uint64_t size = std::filesystem::file_size(packs()[0]);
  std::filesystem::resize_file(packs()[0], 0);
  std::filesystem::resize_file(packs()[0], size);
  expect_damaged(id, "record header: no record");
  expect_heals(random_bytes(1));
}

TEST_F(LocalStoreTest, DeletedPack) {
  const ChunkId id = put_and_reopen(random_bytes(1));
  std::filesystem::remove(packs()[0]);
  expect_damaged(id, "the pack is gone");
  expect_heals(random_bytes(1));
}

// Even if nobody has tried to read it since.
TEST_F(LocalStoreTest, DeletedPackIsNotTrustedByDedup) {
  put_and_reopen(random_bytes(1));
  std::filesystem::remove(packs()[0]);
  expect_heals(random_bytes(1));
}

TEST_F(LocalStoreTest, TruncatedPack) {
  const ChunkId first = put(random_bytes(1));
  const ChunkId last = put_and_reopen(random_bytes(2));
  std::filesystem::resize_file(packs()[0], std::filesystem::file_size(packs()[0]) - 1);
  EXPECT_OK(store_->get(first));
  expect_damaged(last, "shorter than expected");
  expect_heals(random_bytes(2));
}

TEST_F(LocalStoreTest, OneDamagedChunkOfMany) {
  std::vector<ChunkId> ids;
  for (uint64_t i = 0; i < 10; i++) ids.push_back(put(random_bytes(i)));
  ASSERT_OK(store_->sync());
  reopen();
  flip_bit(packs()[0], kFirstPayload + 4 * kMaxRecordBytes);
  auto objects = store_->get_many(ids);
  ASSERT_FAULT(objects, Fault::kDamaged);
  EXPECT_NE(objects.error().context.find(to_hex(ids[4])), std::string::npos);
  ids.erase(ids.begin() + 4);
  EXPECT_OK(store_->get_many(ids));
}

// A pending copy is as little to be trusted: the next sync must not promise it.
TEST_F(LocalStoreTest, DamagedPendingObject) {
  const ChunkId id = put(random_bytes(1));
  flip_bit(packs()[0], kFirstPayload);
  expect_damaged(id, "block 0");
  EXPECT_FAULT(store_->sync(), Fault::kDamaged);
  expect_heals(random_bytes(1));
}

// No more than a bounded number waits for a sync: the store syncs by itself.
TEST_F(LocalStoreTest, PendingObjectsAreBounded) {
  reopen({.codec = Codec::kNone});
  for (uint32_t i = 0; i < 17'000; i++) {
    ASSERT_OK(store_->put(ObjectKind::kPage, ByteWriter().number(i).take()));
  }
  reopen();  // without a sync
  EXPECT_TRUE(trusts(hash_of(ByteWriter().number(uint32_t(0)).take())));
  EXPECT_FALSE(trusts(hash_of(ByteWriter().number(uint32_t(16'999)).take())));
}

TEST_F(LocalStoreTest, NeedsItsDirectory) {
  EXPECT_FAULT(LocalStore::open(file_system_, directory_ / "absent", {}), Fault::kNotFound);
}

TEST_F(LocalStoreTest, ThreadsThatPutTheSameStoreItOnce) {
  reopen({.cache_bytes = 4 * kChunkBytes, .max_pack_bytes = 8 * kMaxRecordBytes});
  constexpr uint64_t kDistinct = 40;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      std::vector<ChunkId> ids;
      for (uint64_t i = 0; i < kDistinct; i++) {
        const uint64_t seed = t % 2 == 0 ? i : kDistinct - 1 - i;
        const Bytes bytes = seed % 2 == 0 ? random_bytes(seed) : compressible_bytes(seed);
        auto id = store_->put(ObjectKind::kChunk, bytes);
        ASSERT_OK(id);
        auto object = store_->get(id.value());
        ASSERT_OK(object);
        EXPECT_EQ(*object.value(), bytes);
        ids.push_back(id.value());
        if (i % 10 == t) {
          EXPECT_OK(store_->sync());
        }
      }
      EXPECT_OK(store_->get_many(ids));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store_->counters().new_object_count, kDistinct);
  EXPECT_EQ(store_->counters().put_count, 4 * kDistinct);
}

}  // namespace
}  // namespace casdisk
