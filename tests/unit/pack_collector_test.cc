// Where copies of what lives go while packs are collected.
#include "cas/pack_collector.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "cas/os/file_system.h"
#include "index/garbage_collection.h"
#include "index/lineage.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

TEST(PackCollector, WhatCannotBeWrittenIsNotCalledUnreadable) {
  TestStore store;
  must(create_disk(*store, "a", CreateOptions{4 << 20, {}}));
  for (uint64_t half : {2, 1}) {  // the second half of the first pack lives
    auto disk = store.disk("a");
    must(disk->write(0, random_bytes(half, half << 20)));
    must(disk->seal_all(1, no_progress));
  }
  const Bytes before = contents(*store.disk("a"));
  FaultPlan plan;
  auto inner = must(make_file_system(IoChoice::kPosix, nullptr));
  store.reopen(std::make_shared<FaultyFileSystem>(*inner, plan));
  plan.fail(FileOperation::kWrite, 1, EIO, 1000);
  EXPECT_FAULT(collect_garbage(*store, {}), Fault::kIo);
  store.reopen();
  EXPECT_GT(must(collect_garbage(*store, {})).done.pack_count, 0u);
  EXPECT_EQ(contents(*store.disk("a")), before);
}

}  // namespace
}  // namespace casdisk
