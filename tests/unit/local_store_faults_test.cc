// LocalStore over files that fail: what the caller is told, and what still works afterwards.
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "cas/local_store.h"
#include "cas/os/posix_file_system.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

class LocalStoreFaultsTest : public testing::Test {
 protected:
  LocalStoreFaultsTest() { reopen(); }

  void reopen(LocalStoreOptions options = {}) {
    store_.reset();
    auto store = LocalStore::open(faulty_, directory_.path(), options);
    ASSERT_OK(store);
    store_ = std::move(store).value();
  }

  Result<ChunkId> put(uint64_t seed) { return store_->put(ObjectKind::kChunk, random_bytes(seed)); }
  static ChunkId id_of(uint64_t seed) { return hash_of(random_bytes(seed)); }

  void expect_readable(uint64_t seed) {
    auto object = store_->get(id_of(seed));
    ASSERT_OK(object);
    EXPECT_EQ(*object.value(), random_bytes(seed));
  }

  // The table has it, and nobody has found it damaged.
  bool trusts(const ChunkId& id) {
    const auto entry = store_->locations().lookup(id).value();
    return entry && !entry->damaged;
  }

  size_t pack_count() const {
    return size_t(std::distance(std::filesystem::directory_iterator(directory_ / "packs"), {}));
  }
  std::string pack(uint64_t id) const { return directory_ / ("packs/" + pack_file_name(id)); }

  TemporaryDirectory directory_;
  PosixFileSystem plain_;
  FaultPlan plan_;
  FaultyFileSystem faulty_{plain_, plan_};
  std::unique_ptr<LocalStore> store_;
};

TEST_F(LocalStoreFaultsTest, FailedAppendIsReportedAndTheNextOneWorks) {
  ASSERT_OK(put(1));
  plan_.fail(FileOperation::kWrite, 1, ENOSPC);
  auto refused = put(2);
  ASSERT_FAULT(refused, Fault::kNoSpace);
  EXPECT_NE(refused.error().context.find(pack(1)), std::string::npos);
  EXPECT_FAULT(store_->get(id_of(2)), Fault::kNotFound);
  ASSERT_OK(put(2));
  ASSERT_OK(put(3));
  EXPECT_EQ(pack_count(), 2u);  // what was torn is at the end of the first
  ASSERT_OK(store_->sync());
  reopen();
  for (uint64_t seed : {1, 2, 3}) expect_readable(seed);
}

TEST_F(LocalStoreFaultsTest, FullFileSystemLeavesNoEmptyPacks) {
  for (uint64_t nth : {1, 2}) {  // the pack's header, its first record
    plan_.fail(FileOperation::kWrite, nth, ENOSPC);
    EXPECT_FAULT(put(1), Fault::kNoSpace);
    EXPECT_EQ(pack_count(), 0u);
  }
  ASSERT_OK(put(1));
  EXPECT_EQ(pack_count(), 1u);
}

TEST_F(LocalStoreFaultsTest, WhatNoSyncWasToCoverIsGivenBackInTheEnd) {
  ASSERT_OK(put(1));
  ASSERT_OK(store_->sync());
  auto synced_bytes = std::filesystem::file_size(pack(1));
  ASSERT_OK(put(2));
  plan_.fail(FileOperation::kWrite, 1, ENOSPC);
  ASSERT_FAULT(put(3), Fault::kNoSpace);
  ASSERT_OK(put(4));
  EXPECT_EQ(pack_count(), 2u);
  reopen();
  EXPECT_EQ(pack_count(), 1u);
  EXPECT_EQ(std::filesystem::file_size(pack(1)), synced_bytes);
  expect_readable(1);
  EXPECT_FAULT(store_->get(id_of(2)), Fault::kNotFound);
}

TEST_F(LocalStoreFaultsTest, WhatASyncMayHaveReachedIsNotGivenBack) {
  LocalStoreOptions small;
  small.map_bytes = 256 << 10;
  reopen(small);
  // The table is full: its transaction fails, after the pack was synced.
  uint64_t seed = 0;
  do {
    ASSERT_OK(put(++seed));
  } while (store_->sync().ok());
  auto bytes = std::filesystem::file_size(pack(1));
  reopen();
  EXPECT_EQ(std::filesystem::file_size(pack(1)), bytes);
}

TEST_F(LocalStoreFaultsTest, PackThatCannotBeMade) {
  plan_.fail(FileOperation::kOpen, 1, EMFILE);
  EXPECT_FAULT(put(1), Fault::kIo);
  ASSERT_OK(put(1));
  EXPECT_OK(store_->sync());
}

TEST_F(LocalStoreFaultsTest, AfterAFailedSyncPuttingAgainStoresAnew) {
  ASSERT_OK(put(1));
  plan_.fail(FileOperation::kSync, 1, EIO);
  auto failed = store_->sync();
  ASSERT_FAULT(failed, Fault::kPoisoned);
  EXPECT_EQ(failed.error().os_error, EIO);
  EXPECT_FALSE(trusts(id_of(1)));
  ASSERT_OK(put(1));
  EXPECT_EQ(store_->counters().new_object_count, 2u);
  ASSERT_OK(store_->sync());
  std::filesystem::remove(pack(1));  // nothing of it counts any more
  reopen();
  expect_readable(1);
}

// Whoever put it may not have asked for the sync that failed: the next one must not forget it.
TEST_F(LocalStoreFaultsTest, AfterAFailedSyncTheNextOneStoresAnew) {
  ASSERT_OK(put(1));
  ASSERT_OK(store_->sync());
  ASSERT_OK(put(2));
  plan_.fail(FileOperation::kSync, 1, EIO);
  EXPECT_FAULT(store_->sync(), Fault::kPoisoned);
  ASSERT_OK(put(3));
  EXPECT_EQ(pack_count(), 2u);  // nothing is appended to the first one now
  ASSERT_OK(store_->sync());
  reopen();
  for (uint64_t seed : {1, 2, 3}) expect_readable(seed);
  std::filesystem::remove(pack(1));
  reopen();
  EXPECT_FAULT(store_->get(id_of(1)), Fault::kDamaged);
  expect_readable(2);
}

TEST_F(LocalStoreFaultsTest, SyncFailsForAsLongAsALostObjectCannotBeReadBack) {
  ASSERT_OK(put(1));
  plan_.fail(FileOperation::kSync, 1, EIO);
  EXPECT_FAULT(store_->sync(), Fault::kPoisoned);
  std::filesystem::resize_file(pack(1), 1000);
  ASSERT_OK(put(2));
  for (int i = 0; i < 2; i++) {
    auto failed = store_->sync();
    ASSERT_FAULT(failed, Fault::kDamaged);
    EXPECT_NE(failed.error().context.find(to_hex(id_of(1))), std::string::npos);
  }
  ASSERT_OK(put(1));
  EXPECT_OK(store_->sync());
  reopen();
  expect_readable(1);
  expect_readable(2);
}

// Else a server whose device has dropped something could not seal any more.
TEST_F(LocalStoreFaultsTest, WhatIsLostForGoodIsOwedToTheSessionsOfThenAlone) {
  reopen({.codec = Codec::kNone, .needs_sessions = true});
  {
    auto session = store_->begin_session();
    ASSERT_OK(session);
    ASSERT_OK(put(1));
    plan_.fail(FileOperation::kSync, 1, EIO);
    EXPECT_FAULT(store_->sync(), Fault::kPoisoned);
    std::filesystem::resize_file(pack(1), 1000);
    auto beside = store_->begin_session();
    ASSERT_OK(beside);
    EXPECT_FAULT(store_->sync(), Fault::kDamaged);
  }
  {
    auto session = store_->begin_session();
    ASSERT_OK(session);
    ASSERT_OK(put(2));
    ASSERT_OK(store_->sync());
    EXPECT_FALSE(trusts(id_of(1)));
  }
  reopen();
  expect_readable(2);
}

TEST_F(LocalStoreFaultsTest, FailedSyncOfThePacksNames) {
  ASSERT_OK(put(1));
  plan_.fail(FileOperation::kDirectorySync, 1, EIO);
  EXPECT_FAULT(store_->sync(), Fault::kPoisoned);
  const uint64_t before = plan_.done_count(FileOperation::kDirectorySync);
  ASSERT_OK(store_->sync());
  EXPECT_EQ(plan_.done_count(FileOperation::kDirectorySync), before + 1);
  reopen();
  expect_readable(1);
}

// The rule that nothing is registered before it is synced, seen by its order of operations.
TEST_F(LocalStoreFaultsTest, NothingIsRegisteredBeforeItIsSynced) {
  for (FileOperation operation : {FileOperation::kSync, FileOperation::kDirectorySync}) {
    ASSERT_OK(put(1));
    plan_.fail(operation, 1, EIO);
    EXPECT_FALSE(store_->sync().ok());
    reopen();
    EXPECT_FALSE(trusts(id_of(1)));
  }
  ASSERT_OK(put(1));
  ASSERT_OK(store_->sync());
  reopen();
  EXPECT_TRUE(trusts(id_of(1)));
}

TEST_F(LocalStoreFaultsTest, EveryNewPackIsSyncedWithItsName) {
  reopen({.codec = Codec::kNone, .max_pack_bytes = 2 * kMaxRecordBytes});
  for (uint64_t seed = 0; seed < 3; seed++) ASSERT_OK(put(seed));
  const uint64_t syncs = plan_.done_count(FileOperation::kSync);
  const uint64_t directory_syncs = plan_.done_count(FileOperation::kDirectorySync);
  ASSERT_OK(store_->sync());
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), syncs + pack_count());
  EXPECT_EQ(plan_.done_count(FileOperation::kDirectorySync), directory_syncs + 1);
  ASSERT_OK(store_->sync());  // nothing new: nothing is synced
  EXPECT_EQ(plan_.done_count(FileOperation::kSync), syncs + pack_count());
}

TEST_F(LocalStoreFaultsTest, FullTableKeepsWhatItHasAndWhatIsPending) {
  reopen({.map_bytes = 256 * 1024});
  std::vector<ChunkId> synced;
  std::vector<ChunkId> last;
  for (uint32_t i = 0; i < 20'000; i++) {
    auto id = store_->put(ObjectKind::kPage, ByteWriter().number(i).take());
    ASSERT_OK(id);
    last.push_back(id.value());
    if (i % 500 != 499) continue;
    if (auto done = store_->sync(); !done.ok()) {
      EXPECT_FAULT(done, Fault::kNoSpace);
      break;
    }
    synced.insert(synced.end(), last.begin(), last.end());
    last.clear();
  }
  ASSERT_FALSE(last.empty());
  ASSERT_FALSE(synced.empty());
  EXPECT_FAULT(store_->sync(), Fault::kNoSpace);  // they are still owed
  EXPECT_OK(store_->get_many(last));
  EXPECT_OK(store_->get_many(synced));
  // With room in the table again the same objects are put, and kept.
  reopen({.map_bytes = 64 << 20});
  EXPECT_OK(store_->get_many(synced));
  EXPECT_FALSE(trusts(last[0]));
}

TEST_F(LocalStoreFaultsTest, UnreadableSectorIsAnErrorAndNotTrusted) {
  ASSERT_OK(put(1));
  ASSERT_OK(store_->sync());
  reopen();
  plan_.fail(FileOperation::kRead, 1, EIO);
  auto object = store_->get(id_of(1));
  ASSERT_FAULT(object, Fault::kIo);
  EXPECT_EQ(object.error().os_error, EIO);
  EXPECT_NE(object.error().context.find("chunk " + to_hex(id_of(1))), std::string::npos);
  EXPECT_FALSE(trusts(id_of(1)));
  expect_readable(1);  // it is tried all the same, and verified
  ASSERT_OK(put(1));
  EXPECT_EQ(store_->counters().new_object_count, 1u);
}

TEST_F(LocalStoreFaultsTest, RunningOutOfDescriptorsIsNotDamage) {
  ASSERT_OK(put(1));
  ASSERT_OK(store_->sync());
  reopen();
  plan_.fail(FileOperation::kOpen, 1, EMFILE);
  EXPECT_FAULT(store_->get(id_of(1)), Fault::kIo);
  EXPECT_TRUE(trusts(id_of(1)));
  expect_readable(1);
}

// Another process moves the object to another pack while we are about to open the first.
TEST_F(LocalStoreFaultsTest, ObjectThatMovesWhileItIsReadIsLookedUpOnceMore) {
  ASSERT_OK(put(1));
  ASSERT_OK(store_->sync());
  reopen();
  auto mover = LocalStore::open(plain_, directory_.path(), {});
  ASSERT_OK(mover);
  plan_.before_next(FileOperation::kOpen, [&] {
    std::filesystem::remove(pack(1));
    EXPECT_OK(mover.value()->put(ObjectKind::kChunk, random_bytes(1)));
    EXPECT_OK(mover.value()->sync());
  });
  expect_readable(1);
  EXPECT_EQ(mover.value()->counters().new_object_count, 1u);
}

TEST_F(LocalStoreFaultsTest, BatchThatFailsIsReadOneByOne) {
  std::vector<ChunkId> ids;
  for (uint64_t seed = 0; seed < 5; seed++) {
    ASSERT_OK(put(seed));
    ids.push_back(id_of(seed));
  }
  plan_.fail(FileOperation::kRead, 3, EAGAIN);
  auto objects = store_->get_many(ids);
  ASSERT_OK(objects);
  for (size_t i = 0; i < ids.size(); i++) EXPECT_EQ(*objects.value()[i], random_bytes(i));
}

}  // namespace
}  // namespace casdisk
