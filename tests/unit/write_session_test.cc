// Sessions of several openers of one store, and packs that are condemned under them.
#include "cas/write_session.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "cas/local_store.h"
#include "cas/os/posix_file_system.h"
#include "tests/support/child_process.h"
#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

Bytes chunk(uint64_t seed) { return random_bytes(seed); }

class WriteSessionTest : public testing::Test {
 protected:
  std::unique_ptr<LocalStore> open() {
    auto store = LocalStore::open(file_system_, directory_.path(), {.needs_sessions = true});
    EXPECT_OK(store);
    return store.ok() ? std::move(store).value() : nullptr;
  }
  static std::optional<WriteSession> begin(LocalStore& store) {
    auto session = store.begin_session();
    EXPECT_OK(session);
    if (!session.ok()) return std::nullopt;
    return std::optional(std::move(session).value());
  }
  static PackLocation location(LocalStore& store, const ChunkId& id) {
    auto entry = store.locations().lookup(id);
    EXPECT_TRUE(entry.ok() && entry.value());
    return entry.value()->location;
  }
  // What a collection does: condemns all packs there are.
  static LocationTable::Generations condemn_all(LocalStore& store) {
    std::vector<uint64_t> packs;
    const auto records = store.locations().packs().value();
    for (const auto& record : records) packs.push_back(record.pack);
    return store.locations().condemn(packs).value();
  }
  // Whether a collection would wait, and for whom.
  static std::optional<std::vector<int64_t>> waits_for(LocalStore& store,
                                                       const LocationTable::Generations& before) {
    std::optional<std::vector<int64_t>> seen;
    auto ended = store.sessions().wait_for_older(
        before, [&](const std::vector<int64_t>& pids) -> Result<void> {
          seen = pids;
          return Error{Fault::kBusy, 0, "seen enough"};
        });
    EXPECT_EQ(ended.ok(), !seen);
    return seen;
  }
  void delete_pack(LocalStore& store, uint64_t pack) {
    const uint64_t packs[] = {pack};
    EXPECT_OK(store.locations().remove_packs(packs));
    EXPECT_OK(store.packs().remove(pack_file_name(pack)));
  }

  TemporaryDirectory directory_;
  PosixFileSystem file_system_;
};

TEST_F(WriteSessionTest, ACollectionWaitsForSessionsOfBeforeAndForNoOthers) {
  auto store = open();
  auto before = begin(*store);
  auto nested = begin(*store);
  const auto generations = condemn_all(*store);
  auto after = begin(*store);
  EXPECT_EQ(waits_for(*store, generations), (std::vector<int64_t>{::getpid(), ::getpid()}));
  before.reset();
  EXPECT_TRUE(waits_for(*store, generations));
  nested.reset();
  EXPECT_FALSE(waits_for(*store, generations));
  EXPECT_EQ(store->locations().generations().value().oldest, generations.current);
}

TEST_F(WriteSessionTest, ADeadProcessHasNoSessions) {
  auto store = open();
  int begun[2];
  ASSERT_EQ(::pipe(begun), 0);
  ChildProcess child([&] {
    auto own = LocalStore::open(file_system_, directory_.path(), {});
    auto session = own.value()->begin_session();
    if (!session.ok() || ::write(begun[1], "x", 1) != 1) return false;
    for (;;) ::pause();
  });
  char x;
  ASSERT_EQ(::read(begun[0], &x, 1), 1);
  const auto generations = condemn_all(*store);
  EXPECT_EQ(waits_for(*store, generations), std::vector<int64_t>{child.pid()});
  child.kill();
  EXPECT_FALSE(waits_for(*store, generations));
}

// The counter and the lock: whoever ends a generation sees each session that began in it.
TEST_F(WriteSessionTest, NoSessionIsMissedHoweverItRacesWithANewGeneration) {
  auto store = open();
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> in_session = 0;  // the generation that the thread is in, plus 1
  std::thread beginner([&] {
    while (!stop) {
      auto taken = store->sessions().take();
      if (!taken.ok()) continue;
      in_session = taken.value().generation + 1;
      std::this_thread::yield();
      in_session = 0;
    }
  });
  for (int i = 0; i < 300; i++) {
    const auto generations = store->locations().condemn({}).value();
    EXPECT_OK(store->sessions().wait_for_older(
        generations, [](const std::vector<int64_t>&) { return Result<void>(); }));
    const uint64_t seen = in_session;
    EXPECT_TRUE(seen == 0 || seen - 1 >= generations.current);
  }
  stop = true;
  beginner.join();
}

TEST_F(WriteSessionTest, WhatIsInACondemnedPackIsStoredAnew) {
  auto store = open();
  auto session = begin(*store);
  const ChunkId id = store->put(ObjectKind::kChunk, chunk(1)).value();
  ASSERT_OK(store->sync());
  const PackLocation before = location(*store, id);
  ASSERT_OK(store->put(ObjectKind::kChunk, chunk(1)));
  EXPECT_EQ(store->counters().new_object_count, 1u);
  condemn_all(*store);
  ASSERT_OK(store->get(id));
  ASSERT_OK(store->put(ObjectKind::kChunk, chunk(1)));  // the cache has it, and is not asked
  ASSERT_OK(store->sync());
  EXPECT_EQ(store->counters().new_object_count, 2u);
  EXPECT_NE(location(*store, id).pack, before.pack);
}

// The pack is condemned between the append and the sync: what was appended goes to another one.
TEST_F(WriteSessionTest, NothingIsEnteredInAPackThatWasCondemnedMeanwhile) {
  auto store = open();
  auto other = open();
  auto session = begin(*store);
  const ChunkId id = store->put(ObjectKind::kChunk, chunk(1)).value();
  const auto condemned = store->locations().packs().value();
  ASSERT_EQ(condemned.size(), 1u);
  condemn_all(*other);
  ASSERT_OK(store->sync());
  EXPECT_NE(location(*store, id).pack, condemned[0].pack);
  session.reset();
  delete_pack(*other, condemned[0].pack);
  auto fresh = open();
  EXPECT_EQ(*fresh->get(id).value(), chunk(1));
}

// An abandoned session's objects are in a pack that is collected; a later one must not build on it.
TEST_F(WriteSessionTest, WhatWasAbandonedIsForgottenWhenAGenerationHasEnded) {
  auto store = open();
  const ChunkId id = hash_of(chunk(1));
  {
    auto abandoned = begin(*store);
    ASSERT_OK(store->put(ObjectKind::kChunk, chunk(1)));
  }
  const uint64_t pack = store->locations().packs().value().at(0).pack;
  const auto generations = condemn_all(*store);
  EXPECT_FALSE(waits_for(*store, generations));
  delete_pack(*store, pack);
  auto session = begin(*store);
  ASSERT_OK(store->put(ObjectKind::kChunk, chunk(1)));
  ASSERT_OK(store->sync());
  EXPECT_NE(location(*store, id).pack, pack);
  auto fresh = open();
  EXPECT_EQ(*fresh->get(id).value(), chunk(1));
}

// The same with an older session still there: a newer one of the process shares its objects.
TEST_F(WriteSessionTest, ANewSessionDoesNotBuildOnAnOldOnesCondemnedPack) {
  auto store = open();
  const ChunkId id = hash_of(chunk(1));
  auto old_session = begin(*store);
  ASSERT_OK(store->put(ObjectKind::kChunk, chunk(1)));
  const uint64_t pack = store->locations().packs().value().at(0).pack;
  const auto generations = condemn_all(*store);
  auto session = begin(*store);
  ASSERT_OK(store->put(ObjectKind::kChunk, chunk(1)));
  ASSERT_OK(store->put(ObjectKind::kChunk, chunk(2)));
  EXPECT_TRUE(waits_for(*store, generations));
  old_session.reset();
  EXPECT_FALSE(waits_for(*store, generations));
  delete_pack(*store, pack);
  ASSERT_OK(store->sync());
  EXPECT_NE(location(*store, id).pack, pack);
  auto fresh = open();
  EXPECT_EQ(*fresh->get(id).value(), chunk(1));
  EXPECT_EQ(*fresh->get(hash_of(chunk(2))).value(), chunk(2));
}

TEST_F(WriteSessionTest, APutOutsideASessionEndsTheProcess) {
  ChildProcess child([&] {
    ::close(STDERR_FILENO);
    auto own = LocalStore::open(file_system_, directory_.path(), {.needs_sessions = true});
    return own.value()->put(ObjectKind::kChunk, chunk(1)).ok() || true;
  });
  EXPECT_FALSE(child.succeeded());
}

}  // namespace
}  // namespace casdisk
