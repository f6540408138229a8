// LocalStore shared by processes, and processes that are killed.
#include <gtest/gtest.h>
#include <unistd.h>

#include "cas/local_store.h"
#include "cas/os/posix_file_system.h"
#include "tests/support/child_process.h"
#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

Bytes chunk(uint64_t seed) { return seed % 2 == 0 ? random_bytes(seed) : compressible_bytes(seed); }

class LocalStoreProcessesTest : public testing::Test {
 protected:
  // Opened by each process for itself, after the fork.
  std::unique_ptr<LocalStore> open() {
    auto store = LocalStore::open(file_system_, directory_.path(), {});
    EXPECT_OK(store);
    return store.ok() ? std::move(store).value() : nullptr;
  }

  TemporaryDirectory directory_;
  PosixFileSystem file_system_;
};

TEST_F(LocalStoreProcessesTest, OneSeesWhatAnotherHasSynced) {
  auto store = open();
  ChildProcess child([&] {
    auto own = open();
    return own->put(ObjectKind::kChunk, chunk(1)).ok() && own->sync().ok() &&
           own->put(ObjectKind::kChunk, chunk(2)).ok();
  });
  ASSERT_TRUE(child.succeeded());
  auto object = store->get(hash_of(chunk(1)));
  ASSERT_OK(object);
  EXPECT_EQ(*object.value(), chunk(1));
  EXPECT_FAULT(store->get(hash_of(chunk(2))), Fault::kNotFound);  // not synced
  ASSERT_OK(store->put(ObjectKind::kChunk, chunk(1)));
  EXPECT_EQ(store->counters().new_object_count, 0u);
}

TEST_F(LocalStoreProcessesTest, ManyPutAtOnce) {
  constexpr uint64_t kCount = 30;
  const auto put_all = [&] {
    auto store = open();
    for (uint64_t seed = 0; seed < kCount; seed++) {
      if (!store->put(ObjectKind::kChunk, chunk(seed)).ok()) return false;
      if (seed % 7 == 0 && !store->sync().ok()) return false;
    }
    return store->sync().ok();
  };
  ChildProcess first(put_all);
  ChildProcess second(put_all);
  ChildProcess third(put_all);
  EXPECT_TRUE(first.succeeded());
  EXPECT_TRUE(second.succeeded());
  EXPECT_TRUE(third.succeeded());
  auto store = open();
  for (uint64_t seed = 0; seed < kCount; seed++) {
    auto object = store->get(hash_of(chunk(seed)));
    ASSERT_OK(object);
    EXPECT_EQ(*object.value(), chunk(seed));
  }
}

// What a killed process had synced is there; of the rest, each object is there or is not.
TEST_F(LocalStoreProcessesTest, KilledAnywhere) {
  uint64_t next_seed = 0;
  for (int round = 0; round < 5; round++) {
    int synced[2];
    ASSERT_EQ(::pipe(synced), 0);
    const uint64_t first_seed = next_seed;
    ChildProcess child([&] {
      auto store = open();
      for (uint64_t seed = first_seed;; seed++) {
        if (!store->put(ObjectKind::kChunk, chunk(seed)).ok()) return false;
        if (seed % 3 != 2) continue;
        if (!store->sync().ok()) return false;
        if (::write(synced[1], &seed, sizeof(seed)) != sizeof(seed)) return false;
      }
    });
    uint64_t last_synced = 0;
    do {
      ASSERT_EQ(::read(synced[0], &last_synced, sizeof(last_synced)), ssize_t(sizeof(last_synced)));
    } while (last_synced < first_seed + 10);
    ::usleep(useconds_t(round) * 700);
    child.kill();
    ::close(synced[1]);
    while (::read(synced[0], &last_synced, sizeof(last_synced)) > 0) {
    }
    ::close(synced[0]);
    next_seed = last_synced + 100;

    auto store = open();
    for (uint64_t seed = first_seed; seed < next_seed; seed++) {
      auto object = store->get(hash_of(chunk(seed)));
      if (object.ok()) {
        EXPECT_EQ(*object.value(), chunk(seed));
      } else {
        EXPECT_FAULT(object, Fault::kNotFound);
        EXPECT_GT(seed, last_synced);
      }
    }
    // And the store takes what it is given as if nothing had happened.
    ASSERT_OK(store->put(ObjectKind::kChunk, chunk(next_seed)));
    ASSERT_OK(store->sync());
  }
}

}  // namespace
}  // namespace casdisk
