// The reserve: given back when a full file system stops what must go on, kept from guests' writes
// meanwhile, made whole when there is room. How much is free is what the fault plan says.
#include "cas/space_reserve.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "cas/os/file_system.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr uint64_t kMib = uint64_t(1) << 20;
constexpr uint64_t kReserveBytes = 4 * kMib;

class SpaceReserveTest : public testing::Test {
 protected:
  SpaceReserveTest() : inner_(must(make_file_system(IoChoice::kPosix, nullptr))) {
    directory_ = must(file_system_.open_directory(temporary_.path()));
    reserve_ = open();
  }
  std::unique_ptr<SpaceReserve> open() {
    return must(SpaceReserve::open(*directory_, kReserveBytes));
  }
  uint64_t occupied() {
    return must(must(directory_->open("reserve", OpenMode::kRead))->allocated_bytes());
  }

  TemporaryDirectory temporary_;
  FaultPlan plan_;
  std::unique_ptr<FileSystem> inner_;
  FaultyFileSystem file_system_{*inner_, plan_};
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<SpaceReserve> reserve_;
};

TEST_F(SpaceReserveTest, OccupiesSpaceAndIsNotInTheWay) {
  EXPECT_GE(occupied(), kReserveBytes);
  plan_.set_free_bytes(0);
  EXPECT_OK(reserve_->check_room());
  EXPECT_FALSE(reserve_->is_in_use());
}

TEST_F(SpaceReserveTest, GivesItsSpaceToWhatMustGoOn) {
  int tries = 0;
  auto full_once = [&]() -> Result<void> {
    if (++tries == 1) return os_error(ENOSPC, "a file");
    EXPECT_LT(occupied(), kMib);
    return {};
  };
  EXPECT_OK(with_reserve(reserve_.get(), full_once));
  EXPECT_TRUE(reserve_->is_in_use());
  EXPECT_FAULT(with_reserve(nullptr, [] { return Result<void>(os_error(ENOSPC, "a file")); }),
               Fault::kNoSpace);
}

TEST_F(SpaceReserveTest, NothingElseIsTriedAgain) {
  for (Fault fault : {Fault::kPoisoned, Fault::kIo, Fault::kDamaged}) {
    int tries = 0;
    EXPECT_FAULT(with_reserve(reserve_.get(),
                              [&]() -> Result<void> {
                                tries++;
                                return Error{fault, ENOSPC, "a file"};
                              }),
                 fault);
    EXPECT_EQ(tries, 1);
  }
  EXPECT_FALSE(reserve_->is_in_use());
}

TEST_F(SpaceReserveTest, KeepsDataOffUntilThereIsRoomInAllProcesses) {
  auto other = open();
  ASSERT_TRUE(reserve_->release());
  EXPECT_TRUE(other->is_in_use());
  plan_.set_free_bytes(kReserveBytes - 1);
  EXPECT_FAULT(other->check_room(), Fault::kNoSpace);
  EXPECT_FAULT(reserve_->check_room(), Fault::kNoSpace);
  plan_.set_free_bytes(kReserveBytes);
  EXPECT_OK(other->check_room());
  EXPECT_TRUE(reserve_->is_in_use());  // not yet: that would take all that is free
  plan_.set_free_bytes(2 * kReserveBytes);
  EXPECT_OK(other->check_room());
  EXPECT_FALSE(reserve_->is_in_use());
  EXPECT_GE(occupied(), kReserveBytes);
}

TEST_F(SpaceReserveTest, WhatCannotBeMadeWholeStaysInUse) {
  ASSERT_TRUE(reserve_->release());
  plan_.fail(FileOperation::kAllocate, 1, ENOSPC);
  plan_.set_free_bytes(2 * kReserveBytes);
  EXPECT_OK(reserve_->check_room());
  EXPECT_TRUE(reserve_->is_in_use());
  EXPECT_LT(occupied(), kMib);
}

TEST_F(SpaceReserveTest, AMissingOrShortOneIsMadeAnewByTheNextOpen) {
  ASSERT_TRUE(reserve_->release());
  reserve_ = open();  // in use, and there is room
  EXPECT_FALSE(reserve_->is_in_use());
  EXPECT_GE(occupied(), kReserveBytes);
  reserve_.reset();
  for (uint64_t left : {uint64_t(0), uint64_t(100), kMib}) {
    std::filesystem::resize_file(temporary_ / "reserve", left);
    EXPECT_FALSE(open()->is_in_use());
    EXPECT_GE(occupied(), std::max(left, uint64_t(1)));
  }
  std::filesystem::remove(temporary_ / "reserve");
  open();
  EXPECT_GE(occupied(), kReserveBytes);
}

TEST_F(SpaceReserveTest, WithoutSpaceThereIsNoneUntilTheNextOpen) {
  reserve_.reset();
  std::filesystem::remove(temporary_ / "reserve");
  plan_.set_free_bytes(kMib);
  auto none = open();
  EXPECT_OK(none->check_room());
  EXPECT_FALSE(none->release());
  plan_.fail(FileOperation::kAllocate, 1, ENOSPC);
  plan_.set_free_bytes(64 * kMib);
  EXPECT_FALSE(open()->release());
  EXPECT_TRUE(open()->release());
}

TEST_F(SpaceReserveTest, TakesAnEighthOfASmallFileSystem) {
  reserve_.reset();
  std::filesystem::remove(temporary_ / "reserve");
  plan_.set_free_bytes(16 * kMib);
  open();
  EXPECT_GE(occupied(), 2 * kMib);
  EXPECT_LT(occupied(), 3 * kMib);
}

}  // namespace
}  // namespace casdisk
