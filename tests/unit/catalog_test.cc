#include "index/catalog.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "index/checkpoint_view.h"
#include "index/lineage.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

class CatalogTest : public testing::Test {
 protected:
  CatalogTest() { must(create_disk(*store_, "d", CreateOptions{kChunkBytes, {}})); }

  TestStore store_;
};

TEST_F(CatalogTest, ANameThatNobodyGaveIsNotFound) {
  EXPECT_FAULT(store_->catalog().head("nobody"), Fault::kNotFound);
  EXPECT_FAULT(find_checkpoint(*store_, {"nobody", "c"}), Fault::kNotFound);
  EXPECT_FAULT(find_checkpoint(*store_, {"d", "nothing"}), Fault::kNotFound);
}

TEST_F(CatalogTest, ARecordThatAHeadNamesAndIsNotThereIsDamage) {
  const ChunkId unknown = made_up_id(7);
  EXPECT_FAULT(store_->catalog().checkpoint(unknown), Fault::kDamaged);
  must(store_->catalog().update([&](CatalogWriter& writer) -> Result<void> {
    TRY_ASSIGN(HeadRecord head, writer.head("d"));
    head.parent = unknown;
    return writer.put_head("d", head);
  }));
  EXPECT_FAULT(lineage_of(*store_, {"d", ""}), Fault::kDamaged);
}

TEST_F(CatalogTest, AStoreThatLostItIsDamagedAndNotEmpty) {
  const std::string meta = store_.path() + "/meta/data.mdb";
  std::filesystem::rename(meta, meta + ".away");
  EXPECT_FAULT(Store::open(store_.path(), {}), Fault::kDamaged);
  std::filesystem::rename(meta + ".away", meta);
  store_.reopen();
  EXPECT_OK(store_->catalog().head("d"));
  EXPECT_FAULT(Store::init(store_.path(), Codec::kZstd), Fault::kExists);
}

}  // namespace
}  // namespace casdisk
