// A disk on a device that fails once, anywhere, and then loses its power.
#include <gtest/gtest.h>

#include "index/disk.h"
#include "index/lineage.h"
#include "index/store.h"
#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"
#include "tests/support/simulated_computer.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr uint64_t kSize = 200'000;

StoreOptions options_of(const SimulatedComputer::Process& process) {
  StoreOptions options;
  options.file_system = process.file_system;
  options.machine = process.machine;
  options.reserve_bytes = 0;
  options.threads = 1;
  options.write_behind = false;
  options.background_ingest = false;
  return options;
}

// What a user does who wants it flushed: tries again, on the open disk and then with the store
// opened anew, and accepts what is poisoned.
bool write_and_flush(const SimulatedComputer::Process& process, const Bytes& bytes) {
  for (int i = 0; i < 4; i++) {
    auto opened = Store::open("/store", options_of(process));
    if (!opened.ok()) continue;
    Store& store = *opened.value();
    auto disk = Disk::open(store, "d", {});
    if (!disk.ok()) {
      if (disk.error().fault == Fault::kPoisoned)
        (void)accept_disk(store, "d", 1, no_progress).ok();
      continue;
    }
    for (int j = 0; j < 2; j++) {
      if (disk.value()->write(0, bytes).ok() && disk.value()->flush().ok()) return true;
    }
  }
  return false;
}

// One of the changes is the sync of the name of the disk's directory, which a later sync of the
// same directory would not make up for.
TEST(DiskFaults, WhatIsFlushedAfterAFailureOutlivesAPowerCut) {
  const Bytes bytes = random_bytes(5, 140'000);
  uint64_t failure_count = 0;
  for (uint64_t change = 1; change < 60; change++) {
    SimulatedComputer computer(change);
    auto process = computer.start_process();
    must(must(process.file_system->open_directory("/"))->make_directory("store"));
    must(Store::init("/store", Codec::kLz4, *process.file_system, *process.machine));
    must(must(process.file_system->open_directory("/"))->sync());
    must(create_disk(*must(Store::open("/store", options_of(process))), "d",
                     CreateOptions{kSize, std::nullopt}));
    computer.fail_at(change);
    ASSERT_TRUE(write_and_flush(process, bytes)) << change;
    failure_count += computer.has_failed() ? 1 : 0;
    computer.fail_at(0);
    computer.cut_power();
    process = computer.start_process();
    auto store = must(Store::open("/store", options_of(process)));
    auto disk = Disk::open(*store, "d", {});
    ASSERT_OK(disk) << change;
    Bytes read(bytes.size());
    ASSERT_OK(disk.value()->read(0, read)) << change;
    EXPECT_EQ(read, bytes) << change;
  }
  EXPECT_GT(failure_count, 20u);
}

}  // namespace
}  // namespace casdisk
