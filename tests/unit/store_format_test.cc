#include "index/store_format.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "cas/os/posix_file_system.h"
#include "index/lineage.h"
#include "index/store.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_assertions.h"
#include "tests/support/simulated_computer.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

StoreOptions options_of(const SimulatedComputer::Process& process) {
  StoreOptions options;
  options.file_system = process.file_system;
  options.machine = process.machine;
  options.reserve_bytes = 0;
  options.write_behind = false;
  options.background_ingest = false;
  return options;
}

TEST(StoreFormat, GoldenLine) {
  EXPECT_EQ(encode_store_format(Codec::kZstd), "casdisk store, format 1, codec zstd\n");
}

TEST(StoreFormat, EveryCodecComesBack) {
  for (Codec codec : {Codec::kNone, Codec::kLz4, Codec::kZstd}) {
    auto decoded = decode_store_format(encode_store_format(codec));
    ASSERT_OK(decoded);
    EXPECT_EQ(decoded.value(), codec);
  }
}

TEST(StoreFormat, WhatIsNoSuchLineIsDamage) {
  const std::string line = encode_store_format(Codec::kLz4);
  for (size_t length = 0; length < line.size(); length++) {
    EXPECT_FAULT(decode_store_format(line.substr(0, length)), Fault::kDamaged);
  }
  for (const char* wrong :
       {"casdisk store, format 01, codec lz4\n", "casdisk store, format 1, codec lz5\n",
        "casdisk store, format 1, codec lz4\n\n", "casdisk store, format -1, codec lz4\n"}) {
    EXPECT_FAULT(decode_store_format(wrong), Fault::kDamaged) << wrong;
  }
}

TEST(StoreFormat, TheNamesOfAllDirectoriesThatAreMadeAreSynced) {
  TemporaryDirectory temporary;
  PosixFileSystem plain;
  FaultPlan plan;
  FaultyFileSystem file_system(plain, plan);
  const std::string path = temporary.path() + "/in/a/new/";
  ASSERT_OK(make_directories(file_system, path));
  EXPECT_EQ(plan.done_count(FileOperation::kDirectorySync), 3u);
  ASSERT_OK(make_directories(file_system, path));
  EXPECT_EQ(plan.done_count(FileOperation::kDirectorySync), 3u);
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(temporary.path());
  EXPECT_OK(make_directories(file_system, "here"));
  std::filesystem::current_path(before);
  EXPECT_EQ(plan.done_count(FileOperation::kDirectorySync), 4u);
  plan.fail(FileOperation::kDirectorySync, 2, EIO);
  EXPECT_FAULT(make_directories(file_system, path + "one/more"), Fault::kPoisoned);
}

TEST(StoreFormat, AnotherFormatIsUnsupportedAndNamed) {
  auto decoded = decode_store_format("casdisk store, format 2, codec new and better\n");
  EXPECT_FAULT(decoded, Fault::kUnsupported);
  EXPECT_NE(decoded.error().context.find("format 2"), std::string::npos);
}

// A store whose tables were made later could lose the name of one by a sync that fails then.
TEST(StoreFormat, AStoreThatIsMadeHasItsTablesAfterAPowerCutWhateverFailsLater) {
  for (uint64_t change = 1; change < 40; change++) {
    SimulatedComputer computer(change);
    auto process = computer.start_process();
    must(must(process.file_system->open_directory("/"))->make_directory("store"));
    must(must(process.file_system->open_directory("/"))->sync());
    must(Store::init("/store", Codec::kLz4, *process.file_system, *process.machine));
    computer.fail_at(change);
    (void)Store::open("/store", options_of(process)).ok();
    computer.fail_at(0);
    { ASSERT_OK(Store::open("/store", options_of(process))); }
    computer.cut_power();
    process = computer.start_process();
    auto root = must(process.file_system->open_directory("/store"));
    EXPECT_OK(must(root->open_directory("locations"))->open("data.mdb", OpenMode::kRead)) << change;
    EXPECT_OK(must(root->open_directory("meta"))->open("data.mdb", OpenMode::kRead)) << change;
  }
}

// Its names, too, were perhaps only in the page cache.
TEST(StoreFormat, WhatIsKeptInAStoreWhoseMakerDiedOutlivesAPowerCut) {
  unsigned whole_count = 0;
  for (uint64_t change = 1; change < 60; change++) {
    for (Moment moment : {Moment::kBefore, Moment::kAfter}) {
      SimulatedComputer computer(change);
      auto process = computer.start_process();
      must(must(process.file_system->open_directory("/"))->make_directory("store"));
      must(must(process.file_system->open_directory("/"))->sync());
      computer.crash_at(change, Crash::kProcessDies, moment);
      const bool is_made =
          Store::init("/store", Codec::kLz4, *process.file_system, *process.machine).ok();
      computer.crash_at(0, Crash::kProcessDies, moment);
      computer.end_processes();
      process = computer.start_process();
      {
        auto store = Store::open("/store", options_of(process));
        if (!store.ok()) {
          EXPECT_FAULT(store, Fault::kNotFound) << change;
          EXPECT_FALSE(is_made) << change;
          continue;
        }
        whole_count++;
        ASSERT_OK(create_disk(*store.value(), "d", {.size_bytes = kChunkBytes}));
      }
      computer.cut_power();
      process = computer.start_process();
      auto store = Store::open("/store", options_of(process));
      ASSERT_OK(store) << change;
      EXPECT_OK(Disk::open(*store.value(), "d", {})) << change;
    }
  }
  EXPECT_GT(whole_count, 4u);
}

TEST(StoreFormat, OpeningSyncsNamesOnlyWhereSomebodyDiedBeforeHeDid) {
  TemporaryDirectory temporary;
  must(Store::init(temporary.path(), Codec::kLz4));
  FaultPlan plan;
  PosixFileSystem posix;
  const auto syncs_of_an_opening = [&] {
    StoreOptions options;
    options.file_system = std::make_shared<FaultyFileSystem>(posix, plan);
    const uint64_t before = plan.done_count(FileOperation::kDirectorySync);
    EXPECT_OK(Store::open(temporary.path(), options));
    return plan.done_count(FileOperation::kDirectorySync) - before;
  };
  syncs_of_an_opening();  // the first one makes what is not part of a new store
  EXPECT_EQ(syncs_of_an_opening(), 0u);
  must(begin_names(*must(posix.open_directory(temporary.path()))));
  EXPECT_EQ(syncs_of_an_opening(), 1u);
  EXPECT_EQ(syncs_of_an_opening(), 0u);
}

}  // namespace
}  // namespace casdisk
