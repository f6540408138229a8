// Looking at what is needed without the lock of garbage collection, beside one that deletes.
#include "index/gc_roots.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "index/garbage_collection.h"
#include "index/gc_explain.h"
#include "index/lineage.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

class GcRootsTest : public testing::Test {
 protected:
  GcRootsTest() {
    for (const char* name : {"a", "b", "c"}) {
      must(create_disk(*store_, name, CreateOptions{1 << 20, {}}));
      auto disk = store_.disk(name);
      must(disk->write(0, random_bytes(uint64_t(name[0]), 200'000)));
      must(disk->seal_all(1, no_progress));
    }
    store_.reopen();  // nothing is in the cache
  }

  // At the first question: another process removes a disk and collects what it had.
  std::function<bool()> remove_and_collect(const std::string& disk) {
    return [this, disk, done = std::make_shared<bool>()] {
      if (std::exchange(*done, true)) return false;
      auto other = must(Store::open(store_.path(), {}));
      must(remove_disk(*other, disk));
      must(collect_garbage(*other, {}));
      return false;
    };
  }

  TestStore store_;
};

TEST_F(GcRootsTest, WhatIsCollectedMeanwhileIsNoDamage) {
  GcOptions options;
  options.stop = remove_and_collect("c");
  const GcReport report = must(look_for_garbage(*store_, options));
  EXPECT_EQ(report.live_count, report.object_count);
  store_.reopen();
  EXPECT_EQ(must(explain_store(*store_, remove_and_collect("b"))).pinned.size(), 1u);
}

TEST_F(GcRootsTest, DamageIs) {
  for (const auto& entry : std::filesystem::directory_iterator(store_.path() + "/packs")) {
    std::filesystem::remove(entry);
  }
  EXPECT_FAULT(look_for_garbage(*store_, {}), Fault::kDamaged);
  EXPECT_FAULT(explain_store(*store_, [] { return false; }), Fault::kDamaged);
}

}  // namespace
}  // namespace casdisk
