#include "nbd/background_seal.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "index/checkpoint_view.h"
#include "index/lineage.h"
#include "nbd/control/disk_operations.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

using std::chrono::milliseconds;

class BackgroundSealTest : public testing::Test {
 protected:
  BackgroundSealTest() {
    must(create_disk(*store_, "web", {.size_bytes = 64 << 20}));
    ExportsOptions options;
    options.store_path = store_.path();
    options.store.io = IoChoice::kPosix;
    options.store.log = [this](const std::string&) { logged_count_++; };
    exports_ = must(Exports::open(options));
    sealing_.idle = milliseconds(0);
    sealing_.look_every = milliseconds(5);
  }

  std::unique_ptr<Exports::Handle> client() { return must(exports_->open_export("web")); }
  void write(Exports::Handle& handle, char mark, uint64_t bytes = 4096) {
    const uint64_t piece_bytes = std::min<uint64_t>(bytes, 1 << 20);
    const Bytes piece(piece_bytes, std::byte(mark));
    for (uint64_t at = 0; at < bytes; at += piece_bytes) {
      must(handle.volume_to_write().write(at, piece));
    }
  }
  size_t pending_count() { return must(store_->catalog().head("web")).pending.size(); }
  bool is_held() {
    return must(store_->lease_holder(must(store_->catalog().head("web")).uid)).has_value();
  }
  static bool within_seconds(const std::function<bool()>& condition) {
    for (int tries = 0; tries < 1000; tries++) {
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }

  TestStore store_;
  std::atomic<int> logged_count_ = 0;
  std::unique_ptr<Exports> exports_;
  BackgroundSealOptions sealing_;
};

TEST_F(BackgroundSealTest, ADiskStaysOpenUntilItIsSealed) {
  BackgroundSealer sealer(*exports_, sealing_);
  auto handle = client();
  write(*handle, 'a', 8 << 20);
  must(handle->disk()->cut({"one", {}, {}}));
  sealer.add(must(exports_->open_export("web", Exports::User::kService)));
  handle.reset();
  EXPECT_TRUE(within_seconds([&] { return pending_count() == 0 && !is_held(); }));
  EXPECT_EQ(contents(*must(CheckpointView::open(*store_, {"web", "one"})))[0], std::byte('a'));
}

// A user of whom there may be no more threads, for as long as this lives.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    ::getrlimit(RLIMIT_NPROC, &before_);
    const rlimit none{0, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NPROC, &none), 0);
    EXPECT_EQ(::setresuid(kNobody, kNobody, 0), 0);
  }
  ~NoMoreThreads() {
    EXPECT_EQ(::setresuid(0, 0, 0), 0);
    EXPECT_EQ(::setrlimit(RLIMIT_NPROC, &before_), 0);
  }

 private:
  static constexpr uid_t kNobody = 65534;
  rlimit before_{};
};

TEST_F(BackgroundSealTest, WithoutAThreadACutThatNeedsRoomMakesIt) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root";
  std::optional<BackgroundSealer> sealer;
  {
    NoMoreThreads limit;
    sealer.emplace(*exports_, sealing_);
  }
  ASSERT_FALSE(sealer->has_thread());
  ClientSockets sockets;
  DiskOperations operations(*exports_, *sealer, sockets);
  auto handle = client();
  ControlCaller caller;
  caller.stop = [end = BackgroundSealer::Clock::now() + std::chrono::seconds(5)] {
    return BackgroundSealer::Clock::now() > end;
  };
  for (size_t i = 0; i <= kMaxFrozenGenerations; i++) {
    write(*handle, char('a' + i % 26));
    ControlRequest request;
    request.disk = "web";
    request.operation = ControlOperation::kCheckpoint;
    request.checkpoint = "c" + std::to_string(i);
    ASSERT_OK(operations.run(request, caller));
  }
  EXPECT_EQ(contents(*must(CheckpointView::open(*store_, {"web", "c1"})))[0], std::byte('b'));
}

TEST_F(BackgroundSealTest, WhoeverComesWhileItSealsFindsTheSameDisk) {
  BackgroundSealer sealer(*exports_, sealing_);
  for (int round = 0; round < 10; round++) {
    auto handle = client();
    write(*handle, char('a' + round), 1 << 20);
    must(handle->disk()->cut({std::to_string(round), {}, {}}));
    sealer.add(must(exports_->open_export("web", Exports::User::kService)));
    handle.reset();
    handle = client();
    std::byte found[1];
    must(handle->volume().read(0, found));
    EXPECT_EQ(found[0], std::byte('a' + round));
  }
  EXPECT_TRUE(within_seconds([&] { return pending_count() == 0 && !is_held(); }));
}

TEST_F(BackgroundSealTest, StopsInTheMiddleAndTheNextGoesOn) {
  auto handle = client();
  {
    BackgroundSealer sealer(*exports_, sealing_);
    write(*handle, 'a', 32 << 20);
    must(handle->disk()->cut({"one", {}, {}}));
    sealer.add(must(exports_->open_export("web", Exports::User::kService)));
  }
  handle.reset();
  EXPECT_FALSE(is_held());
  BackgroundSealer sealer(*exports_, sealing_);
  handle = client();  // what was left pending is found at the next look
  EXPECT_TRUE(within_seconds([&] { return pending_count() == 0; }));
}

TEST_F(BackgroundSealTest, WhatIsTooMuchIsSealedWithoutACheckpoint) {
  sealing_.overlay_limit_bytes = 1 << 20;
  BackgroundSealer sealer(*exports_, sealing_);
  auto handle = client();
  write(*handle, 'a', 2 << 20);
  EXPECT_TRUE(within_seconds([&] {
    const auto head = must(store_->catalog().head("web"));
    return head.root.state == EntryState::kId;
  }));
  EXPECT_TRUE(must(store_->catalog().head("web")).pending.empty());
}

TEST_F(BackgroundSealTest, AnIdleDiskIsSealed) {
  sealing_.idle = milliseconds(50);
  BackgroundSealer sealer(*exports_, sealing_);
  auto handle = client();
  write(*handle, 'a');
  EXPECT_TRUE(within_seconds(
      [&] { return must(store_->catalog().head("web")).root.state == EntryState::kId; }));
}

TEST_F(BackgroundSealTest, WhoIsInAHurryTakesOver) {
  BackgroundSealer sealer(*exports_, sealing_);
  auto handle = client();
  for (int round = 0; round < 5; round++) {
    write(*handle, char('a' + round), 4 << 20);
    must(handle->disk()->cut({std::to_string(round), {}, {}}));
    sealer.add(must(exports_->open_export("web", Exports::User::kService)));
    EXPECT_EQ(must(handle->disk()->seal(SealOptions{})), SealEnd::kDone);
    EXPECT_EQ(pending_count(), 0u);
  }
}

}  // namespace
}  // namespace casdisk
