// A file's backlog: written out in the background past half the bound, waited for past the bound.
// The faulty file system's plan says when a write-out may go on.
#include "index/write_behind.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <vector>

#include "cas/os/file_system.h"
#include "index/lineage.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

using std::chrono::milliseconds;

class WriteBehindTest : public testing::Test {
 protected:
  WriteBehindTest() : inner_(must(make_file_system(IoChoice::kPosix, nullptr))) {
    directory_ = must(file_system_.open_directory(temporary_.path()));
    file_ = open("a");
    backlog_ = backlog_of(*file_);
  }
  // Lets a stuck write-out go, so that the backlog can end.
  ~WriteBehindTest() override { go_on(); }

  std::unique_ptr<File> open(const std::string& name) {
    return must(directory_->open(name, OpenMode::kCreateAny));
  }
  std::unique_ptr<WriteBehind::Backlog> backlog_of(File& file) {
    return std::make_unique<WriteBehind::Backlog>(write_behind_, file, [this](Error error) {
      failures_++;
      EXPECT_EQ(error.fault, Fault::kPoisoned);
    });
  }
  // The next write-out does not begin until go_on().
  void hold() {
    plan_.before_next(FileOperation::kWriteOut, [this] {
      held_.set_value();
      released_.get_future().wait();
    });
  }
  void go_on() {
    if (!gone_on_) released_.set_value();
    gone_on_ = true;
  }
  uint64_t write_outs() const { return plan_.done_count(FileOperation::kWriteOut); }
  template <typename Condition>
  static void wait_until(Condition condition) {
    for (int i = 0; i < 5000 && !condition(); i++) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_TRUE(condition());
  }

  TemporaryDirectory temporary_;
  FaultPlan plan_;
  std::unique_ptr<FileSystem> inner_;
  FaultyFileSystem file_system_{*inner_, plan_};
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<File> file_;
  std::atomic<int> failures_ = 0;
  std::promise<void> held_;
  std::promise<void> released_;
  bool gone_on_ = false;
  WriteBehind write_behind_;
  std::unique_ptr<WriteBehind::Backlog> backlog_;
};

TEST_F(WriteBehindTest, SmallBacklogsAreLeftToTheFlush) {
  const uint64_t half = write_behind_.bound_bytes() / 2;
  backlog_->wrote(half);
  backlog_->wait_for_room();
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(write_outs(), 0u);
  const uint64_t mark = backlog_->mark();
  backlog_->wrote(1);
  backlog_->settled(mark);  // a sync that began before the last write
  EXPECT_EQ(backlog_->unwritten_bytes(), 1u);
}

TEST_F(WriteBehindTest, PastHalfTheBoundAFileIsWrittenOut) {
  backlog_->wrote(write_behind_.bound_bytes() / 2 + 1);
  wait_until([&] { return backlog_->unwritten_bytes() == 0; });
  EXPECT_EQ(write_outs(), 1u);
}

TEST_F(WriteBehindTest, PastTheBoundWritersWaitForTheDevice) {
  hold();
  backlog_->wrote(write_behind_.bound_bytes() + 1);
  auto writer = std::async(std::launch::async, [&] { backlog_->wait_for_room(); });
  held_.get_future().wait();
  EXPECT_EQ(writer.wait_for(milliseconds(50)), std::future_status::timeout);
  go_on();
  writer.wait();
  EXPECT_EQ(backlog_->unwritten_bytes(), 0u);
}

TEST_F(WriteBehindTest, NobodyWaitsWhileSomebodyWaitsForTheWriters) {
  hold();
  backlog_->wrote(write_behind_.bound_bytes() + 1);
  auto writer = std::async(std::launch::async, [&] { backlog_->wait_for_room(); });
  held_.get_future().wait();
  backlog_->let_through(true);
  writer.wait();
  EXPECT_GT(backlog_->unwritten_bytes(), 0u);
  backlog_->let_through(false);
}

TEST_F(WriteBehindTest, AFailedWriteOutIsSaidOnceAndLetsWritersGo) {
  plan_.fail(FileOperation::kWriteOut, 1, EIO);
  backlog_->wrote(write_behind_.bound_bytes() + 1);
  backlog_->wait_for_room();
  wait_until([&] { return failures_ > 0; });
  backlog_->wrote(write_behind_.bound_bytes());
  backlog_->wait_for_room();
  EXPECT_EQ(failures_, 1);
  EXPECT_EQ(write_outs(), 1u);
  EXPECT_FAULT(file_->sync(), Fault::kPoisoned);
}

TEST_F(WriteBehindTest, ABacklogThatEndsWaitsForItsWriteOut) {
  hold();
  backlog_->wrote(write_behind_.bound_bytes());
  held_.get_future().wait();
  auto end = std::async(std::launch::async, [&] { backlog_.reset(); });
  EXPECT_EQ(end.wait_for(milliseconds(20)), std::future_status::timeout);
  go_on();
}

TEST_F(WriteBehindTest, ManyFilesShareOneThread) {
  const Bytes bytes(1 << 20);
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; i++) {
    writers.emplace_back([&, i] {
      for (int round = 0; round < 4; round++) {
        auto file = open(std::to_string(i));
        auto backlog = backlog_of(*file);
        for (int write = 0; write < 10; write++) {
          backlog->wait_for_room();
          must(file->write(0, bytes));
          backlog->wrote(bytes.size());
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_GT(write_outs(), 0u);
}

// Writes four times the bound that a store begins with.
TEST(WriteBehindOfAStore, IsLeftOutWhereSomebodySaysSo) {
  for (const bool wanted : {true, false}) {
    TestStore made;
    FaultPlan plan;
    auto inner = must(make_file_system(IoChoice::kPosix, nullptr));
    StoreOptions options;
    options.file_system = std::make_shared<FaultyFileSystem>(*inner, plan);
    options.write_behind = wanted;
    auto store = must(Store::open(made.path(), options));
    const uint64_t size = uint64_t(32) << 20;
    must(create_disk(*store, "d", CreateOptions{size, {}}));
    auto disk = must(Disk::open(*store, "d", {}));
    const Bytes bytes(1 << 20, std::byte(7));
    for (uint64_t at = 0; at < size; at += bytes.size()) ASSERT_OK(disk->write(at, bytes));
    ASSERT_OK(disk->flush());
    EXPECT_EQ(plan.done_count(FileOperation::kWriteOut) > 0, wanted);
    disk.reset();
  }
}

}  // namespace
}  // namespace casdisk
