#include "nbd/cli/kv_session.h"

#include <unistd.h>

#include <filesystem>

#include "index/store.h"
#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

using std::string;

TEST(KvSession, WhatLiesInAStoreOfDisks) {
  TemporaryDirectory directory;
  const string store = std::filesystem::canonical(directory.path()).string() + "/store";
  ASSERT_OK(Store::init(store, Codec::kNone));
  const string link = directory / "link";
  ASSERT_EQ(::symlink((store + "/meta").c_str(), link.c_str()), 0);
  for (const string& path :
       {store, store + "/", store + "/meta", store + "/locations", store + "/new/below",
        store + "/../store/meta", link, link + "/below"}) {
    EXPECT_EQ(store_of_disks_around("lmdb:" + path), store) << path;
    EXPECT_EQ(store_of_disks_around("rocksdb:" + path), store) << path;
  }
  for (const string& path : {directory / "kv", store + ".kv", store + "2/meta", string()}) {
    EXPECT_EQ(store_of_disks_around("lmdb:" + path), std::nullopt) << path;
  }
  EXPECT_EQ(store_of_disks_around("memory:"), std::nullopt);
  EXPECT_EQ(store_of_disks_around("hyperv:guest@" + store), std::nullopt);
  EXPECT_EQ(store_of_disks_around("redis+unix://" + store + "/socket"), std::nullopt);
  EXPECT_EQ(store_of_disks_around("lmdb"), std::nullopt);
}

}  // namespace
}  // namespace casdisk
