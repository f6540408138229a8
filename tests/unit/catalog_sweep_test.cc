// What a sweep removes from the catalog, and what it spares that was named while it looked.
#include "index/catalog_sweep.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/support/test_store.h"

namespace casdisk {
namespace {

class CatalogSweepTest : public testing::Test {
 protected:
  CatalogSweepTest() {
    for (uint64_t i = 0; i < kRecords; i++) {
      CheckpointRecord record;
      record.size_bytes = 1 + i;
      record.parent = last_;
      last_ = ids_.emplace_back(hash_of(encode(record)));
      records_.push_back(encode(record));
    }
    fallback_.path = "/images/base.raw";
    fallback_.identity.size_bytes = kChunkBytes;
    update([&](CatalogWriter& writer) -> Result<void> {
      for (size_t i = 0; i < kRecords; i++) {
        TRY(writer.put_checkpoint_record(ids_[i], records_[i]));
      }
      return writer.put_fallback(fallback_.id(), fallback_);
    });
  }

  void update(const std::function<Result<void>(CatalogWriter&)>& body) {
    must(store_->catalog().update(body));
  }
  static HeadRecord head(uint64_t uid) {
    HeadRecord head;
    head.uid = uid;
    head.size_bytes = kChunkBytes;
    return head;
  }
  size_t record_count() {
    size_t count = 0;
    must(store_->catalog().view([&](CatalogReader& reader) -> Result<void> {
      TRY_ASSIGN(auto links, reader.checkpoint_links());
      count = links.size();
      return {};
    }));
    return count;
  }
  bool has_fallback() {
    bool has = false;
    must(store_->catalog().view([&](CatalogReader& reader) -> Result<void> {
      TRY_ASSIGN(auto found, reader.find_fallback(fallback_.id()));
      has = found.has_value();
      return {};
    }));
    return has;
  }

  static constexpr size_t kRecords = 1500;  // more than a transaction removes
  TestStore store_;
  std::vector<ChunkId> ids_;  // each the parent of the next
  std::vector<Bytes> records_;
  std::optional<ChunkId> last_;
  FallbackRecord fallback_;
};

TEST_F(CatalogSweepTest, RemovesWhatNothingRefersTo) {
  update([&](CatalogWriter& writer) -> Result<void> {
    TRY(writer.put_head("d", head(1)));
    return writer.name_checkpoint(1, "kept", ids_[99]);
  });
  EXPECT_EQ(must(sweep_catalog(*store_)), kRecords - 100 + 1);
  EXPECT_EQ(record_count(), 100u);
  EXPECT_FALSE(has_fallback());
  EXPECT_EQ(must(sweep_catalog(*store_)), 0u);
}

// A transaction that has begun before the sweep looks, and ends while the sweep waits for its own.
TEST_F(CatalogSweepTest, WhatIsNamedMeanwhileStays) {
  update([&](CatalogWriter& writer) { return writer.put_head("changed", head(1)); });
  std::promise<void> begun;
  std::thread other([&] {
    update([&](CatalogWriter& writer) -> Result<void> {
      begun.set_value();
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      TRY_ASSIGN(HeadRecord changed, writer.head("changed"));
      TRY(writer.put_head("changed", changed));
      TRY(writer.name_checkpoint(1, "new", ids_[1199]));
      HeadRecord made = head(2);
      made.parent = ids_[1299];
      made.fallback = FallbackUse{fallback_.id(), kChunkBytes};
      return writer.put_head("made", made);
    });
  });
  begun.get_future().wait();
  EXPECT_EQ(must(sweep_catalog(*store_)), kRecords - 1300);
  other.join();
  EXPECT_EQ(record_count(), 1300u);
  EXPECT_TRUE(has_fallback());
}

}  // namespace
}  // namespace casdisk
