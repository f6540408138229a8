// Cuts, seals, forks, rollbacks and resizes of a disk while threads write to it: whatever comes of
// it is the disk at one moment.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <thread>

#include "cas/os/file_system.h"
#include "index/checkpoint_view.h"
#include "index/lineage.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr uint64_t kSizeBytes = 64 * kChunkBytes;
constexpr size_t kWriterCount = 3;
constexpr uint64_t kBlocksPerWriter = kSizeBytes / kBlockBytes / kWriterCount;

// Writes its number-th write, from 1 on, into the next block of its own share of the disk, round
// and round. At any moment the share shows how many of them there were.
class Writer {
 public:
  Writer(Volume& disk, size_t index) : disk_(disk), first_block_(index * kBlocksPerWriter) {}

  void start() {
    thread_ = std::thread([this] {
      while (!stop_) write_next();
    });
  }
  void write_next() {
    uint64_t number = acknowledged_ + 1;
    Bytes block(kBlockBytes);
    for (size_t at = 0; at < kBlockBytes; at += 8) store_le(block.data() + at, number);
    // Some in two parts: torn writes read through the layers.
    size_t torn = number % 5 == 0 ? 1000 : 0;
    uint64_t offset = (first_block_ + number % kBlocksPerWriter) * kBlockBytes;
    if (torn > 0) must(disk_.write(offset, std::span(block).first(torn)));
    must(disk_.write(offset + torn, std::span(block).subspan(torn)));
    acknowledged_ = number;
  }
  void stop() {
    stop_ = true;
    thread_.join();
  }
  uint64_t acknowledged() const { return acknowledged_; }

  // The number of writes that `bytes`, the whole disk, shows; fails when it shows no one moment.
  uint64_t count_in(const Bytes& bytes) const {
    uint64_t newest = 0;
    for (uint64_t block = 0; block < kBlocksPerWriter; block++) {
      newest = std::max(newest, number_at(bytes, block, 0));
    }
    // The block of the write that comes next may be torn in its first part.
    for (uint64_t block = 0; block < kBlocksPerWriter; block++) {
      uint64_t expected = expected_at(block, newest);
      for (size_t at = 0; at < kBlockBytes; at += 8) {
        uint64_t found = number_at(bytes, block, at);
        bool half_way =
            block == (newest + 1) % kBlocksPerWriter || block == newest % kBlocksPerWriter;
        EXPECT_TRUE(found == expected || half_way) << block << " " << found << " " << expected;
      }
    }
    return newest;
  }

 private:
  static uint64_t expected_at(uint64_t block, uint64_t newest) {
    uint64_t rounds = newest / kBlocksPerWriter;
    uint64_t number = rounds * kBlocksPerWriter + block;
    if (number > newest) number = number < kBlocksPerWriter ? 0 : number - kBlocksPerWriter;
    return number;
  }
  uint64_t number_at(const Bytes& bytes, uint64_t block, size_t at) const {
    return load_le<uint64_t>(bytes.data() + (first_block_ + block) * kBlockBytes + at);
  }

  Volume& disk_;
  uint64_t first_block_;
  std::atomic<uint64_t> acknowledged_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class LiveDiskTest : public testing::Test {
 protected:
  LiveDiskTest() {
    must(create_disk(*store_, "d", CreateOptions{kSizeBytes, {}}));
    disk_ = store_.served_disk("d");
  }
  Bytes view(const std::string& name) {
    return contents(*must(CheckpointView::open(*store_, {"d", name})));
  }
  void write(uint64_t offset, uint64_t seed, size_t length = 10'000) {
    must(disk_->write(offset, random_bytes(seed, length)));
  }

  TestStore store_;
  std::shared_ptr<Disk> disk_;
};

TEST_F(LiveDiskTest, EveryCheckpointIsTheDiskAtOneMomentOfItsCut) {
  constexpr int kCheckpoints = 30;
  std::array writers = {Writer(*disk_, 0), Writer(*disk_, 1), Writer(*disk_, 2)};
  for (Writer& writer : writers) writer.start();
  std::atomic<bool> cutting = true;
  std::thread sealer([&] {
    SealOptions background{.urgency = Urgency::kBackground};
    while (cutting || disk_->wants_seal()) ASSERT_OK(disk_->seal(background));
  });
  struct Bounds {
    std::array<uint64_t, kWriterCount> before, after;
  };
  std::vector<Bounds> bounds(kCheckpoints);
  for (int i = 0; i < kCheckpoints; i++) {
    while (!disk_->has_room_for_cut()) disk_->wait_for_seal(std::chrono::milliseconds(100));
    for (size_t w = 0; w < kWriterCount; w++) bounds[i].before[w] = writers[w].acknowledged();
    ASSERT_OK(disk_->cut({"c" + std::to_string(i), {}, {}}));
    for (size_t w = 0; w < kWriterCount; w++) bounds[i].after[w] = writers[w].acknowledged() + 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  for (Writer& writer : writers) writer.stop();
  cutting = false;
  sealer.join();
  for (int i = 0; i < kCheckpoints; i++) {
    SCOPED_TRACE(i);
    Bytes bytes = view("c" + std::to_string(i));
    for (size_t w = 0; w < kWriterCount; w++) {
      uint64_t count = writers[w].count_in(bytes);
      EXPECT_GE(count, bounds[i].before[w]);
      EXPECT_LE(count, bounds[i].after[w]);
    }
  }
  for (Writer& writer : writers)
    EXPECT_EQ(writer.count_in(contents(*disk_)), writer.acknowledged());
}

TEST_F(LiveDiskTest, ACutOfAnUnchangedDiskFreezesNothingAndHasTheSameRoot) {
  write(0, 1);
  ASSERT_OK(disk_->cut({"a", {}, {}}));
  ASSERT_OK(disk_->cut({"b", {}, {}}));
  EXPECT_EQ(disk_->seal_status().frozen_count, 1u);
  EXPECT_EQ(disk_->seal_status().pending, (std::vector<std::string>{"a", "b"}));
  ASSERT_OK(disk_->seal(1, no_progress));
  ASSERT_OK(disk_->cut({"c", {}, {}}));
  EXPECT_EQ(disk_->seal_status().frozen_count, 0u);
  ASSERT_OK(disk_->seal(1, no_progress));
  auto root = [&](const char* name) {
    return must(find_checkpoint(*store_, {"d", name})).record.root;
  };
  EXPECT_EQ(root("a"), root("b"));
  EXPECT_EQ(root("b"), root("c"));
}

TEST_F(LiveDiskTest, WhatIsWrittenAfterACutOutlivesTheProcess) {
  write(0, 1);
  ASSERT_OK(disk_->cut({"a", {}, {}}));
  Bytes cut = contents(*disk_);
  write(5000, 2);
  Bytes now = contents(*disk_);
  disk_.reset();
  store_.reopen();
  disk_ = store_.served_disk("d");
  EXPECT_EQ(contents(*disk_), now);
  ASSERT_OK(disk_->seal(1, no_progress));
  EXPECT_EQ(view("a"), cut);
  EXPECT_EQ(contents(*disk_), now);
}

TEST_F(LiveDiskTest, TooMuchThatIsFrozenIsBusyAndASealMakesRoom) {
  for (size_t i = 0; i < kMaxFrozenGenerations; i++) {
    write(0, i);
    ASSERT_OK(disk_->cut({"c" + std::to_string(i), {}, {}}));
  }
  write(0, 99);
  EXPECT_FALSE(disk_->has_room_for_cut());
  EXPECT_FAULT(disk_->cut({"more", {}, {}}), Fault::kBusy);
  write(0, 100);  // the guest does not notice
  ASSERT_OK(disk_->seal(1, no_progress));
  EXPECT_OK(disk_->cut({"more", {}, {}}));
}

// One that comes after the seal has looked what waits for it, and before it publishes.
TEST_F(LiveDiskTest, ACheckpointOfWhatIsJustBeingPublishedIsMadeToo) {
  FaultPlan plan;
  auto inner = must(make_file_system(IoChoice::kPosix, nullptr));
  disk_.reset();
  store_.reopen(std::make_shared<FaultyFileSystem>(*inner, plan));
  disk_ = store_.served_disk("d");
  write(0, 1);
  Bytes then = contents(*disk_);
  ASSERT_OK(disk_->cut({"first", {}, {}}));
  int syncs = 0;
  std::function<void()> at_sync = [&] {
    // 1, 2: the overlay, and the journal that carried its block; 3: chunks; 4: the record
    if (++syncs == 4) must(disk_->cut({"second", {}, {}}));
    plan.before_next(FileOperation::kSync, at_sync);
  };
  plan.before_next(FileOperation::kSync, at_sync);
  ASSERT_OK(disk_->seal(1, no_progress));
  EXPECT_GE(syncs, 4);
  EXPECT_TRUE(disk_->seal_status().pending.empty());
  EXPECT_EQ(view("first"), then);
  EXPECT_EQ(view("second"), then);
  plan.before_next(FileOperation::kSync, nullptr);
  disk_.reset();
  store_.reopen();
}

// Else the write would be acknowledged after the checkpoint was, and be in it or not.
TEST_F(LiveDiskTest, ACutWaitsForTheWriteThatIsStillInside) {
  FaultPlan plan;
  auto inner = must(make_file_system(IoChoice::kPosix, nullptr));
  disk_.reset();
  store_.reopen(std::make_shared<FaultyFileSystem>(*inner, plan));
  disk_ = store_.served_disk("d");
  write(0, 1);
  std::atomic<bool> is_inside = false, may_go_on = false, is_cut = false;
  plan.before_next(FileOperation::kWrite, [&] {
    is_inside = true;
    while (!may_go_on) std::this_thread::yield();
  });
  std::thread writer([&] { write(0, 2); });
  while (!is_inside) std::this_thread::yield();
  std::thread cutter([&] {
    must(disk_->cut({"one", {}, {}}));
    is_cut = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(is_cut);
  may_go_on = true;
  writer.join();
  cutter.join();
  const Bytes then = contents(*disk_);
  write(0, 3);
  ASSERT_OK(disk_->seal(1, no_progress));
  EXPECT_EQ(view("one"), then);
  disk_.reset();
  store_.reopen();
}

// A group that another process cuts records its checkpoint as late as it likes: also between the
// look at what is pending and the transaction that replaces the content.
TEST_F(LiveDiskTest, WhatAGroupRecordsMeanwhileIsKeptByRollbackAndGrowth) {
  FaultPlan plan;
  auto inner = must(make_file_system(IoChoice::kPosix, nullptr));
  disk_.reset();
  store_.reopen(std::make_shared<FaultyFileSystem>(*inner, plan));
  disk_ = store_.served_disk("d");
  write(0, 1);
  ASSERT_OK(disk_->cut({"a", {}, {}}));
  ASSERT_OK(disk_->seal(1, no_progress));
  FoundCheckpoint a = must(find_checkpoint(*store_, {"d", "a"}));
  const std::vector<std::function<Result<void>()>> changes = {
      [&] { return disk_->roll_back(a.id, a.record); },
      [&] { return disk_->resize(kSizeBytes + 1, {}); }};
  for (size_t i = 0; i < changes.size(); i++) {
    SCOPED_TRACE(i);
    const std::string name = "g" + std::to_string(i);
    write(0, 2 + i);
    ASSERT_OK(disk_->cut({}));
    Bytes then = contents(*disk_);
    plan.before_next(FileOperation::kOpen, [&] {  // of the pin of the old root
      must(store_->catalog().update([&](CatalogWriter& writer) -> Result<void> {
        TRY_ASSIGN(HeadRecord head, writer.head("d"));
        PendingCheckpoint pending;
        pending.name = name;
        pending.generation = head.generations.back().number - 1;
        pending.cut = 1 + i;
        head.pending.push_back(pending);
        return writer.put_head("d", head);
      }));
    });
    EXPECT_FAULT(changes[i](), Fault::kBusy);
    ASSERT_OK(disk_->seal(1, no_progress));
    EXPECT_EQ(view(name), then);
    EXPECT_EQ(contents(*disk_), then);
    EXPECT_OK(changes[i]());
    ASSERT_OK(disk_->resize(kSizeBytes, {}));
  }
  disk_.reset();
  store_.reopen();
}

TEST_F(LiveDiskTest, FilesThatCannotBeRemovedUndoNothing) {
  FaultPlan plan;
  auto inner = must(make_file_system(IoChoice::kPosix, nullptr));
  disk_.reset();
  store_.reopen(std::make_shared<FaultyFileSystem>(*inner, plan));
  disk_ = store_.served_disk("d");
  plan.fail(FileOperation::kRemove, 1, EIO, 1000);
  write(0, 1);
  ASSERT_OK(disk_->cut({"a", {}, {}}));
  ASSERT_OK(disk_->seal(1, no_progress));
  const Bytes then = view("a");
  EXPECT_EQ(contents(*disk_), then);
  FoundCheckpoint a = must(find_checkpoint(*store_, {"d", "a"}));
  write(0, 2);
  ASSERT_OK(disk_->roll_back(a.id, a.record));
  EXPECT_EQ(contents(*disk_), then);
  write(0, 3);
  ASSERT_OK(disk_->prepare_cut());                  // a generation that growth does without
  plan.fail(FileOperation::kRemove, 2, EIO, 1000);  // 1: the trial whether files may be so large
  ASSERT_OK(disk_->resize(kSizeBytes + 1, {}));
  const Bytes now = contents(*disk_);
  disk_.reset();
  store_.reopen();  // where files can be removed
  disk_ = store_.disk("d");
  EXPECT_EQ(contents(*disk_), now);
  size_t left_over = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(store_.path() + "/disks")) {
    left_over += entry.path().extension() == ".overlay" ? 1 : 0;
  }
  EXPECT_EQ(left_over, disk_->head().generations.size());
}

TEST_F(LiveDiskTest, WhatACrashLeftFrozenIsSealedByCommands) {
  for (size_t i = 0; i < kMaxFrozenGenerations; i++) {
    write(0, i);
    ASSERT_OK(disk_->cut({"c" + std::to_string(i), {}, {}}));
  }
  write(0, 99);
  Bytes now = contents(*disk_);
  disk_.reset();
  store_.reopen();
  ASSERT_OK(checkpoint_disk(*store_, "d", {"last", {}, {}}, 1, no_progress));
  EXPECT_EQ(view("last"), now);
}

TEST_F(LiveDiskTest, AForkOfALiveDiskIsTheDiskAtTheForkAndWaitsForItsSeal) {
  write(0, 1);
  Bytes then = contents(*disk_);
  ASSERT_OK(disk_->fork("f"));
  ASSERT_OK(disk_->fork("g"));
  write(0, 2);
  EXPECT_FAULT(disk_->fork("f"), Fault::kExists);
  EXPECT_FAULT(Disk::open(*store_, "f", {}), Fault::kBusy);  // who could seal it has its source
  ASSERT_OK(disk_->seal(1, no_progress));
  EXPECT_EQ(contents(*store_.disk("f")), then);
  EXPECT_EQ(contents(*store_.disk("g")), then);
  EXPECT_NE(contents(*disk_), then);
}

TEST_F(LiveDiskTest, AsManyForksAsOneLikesShareACut) {
  write(0, 1);
  Bytes then = contents(*disk_);
  ASSERT_OK(disk_->cut({"a", {}, {}}));
  for (size_t i = 0; i < 2 * kMaxGenerations; i++) {
    ASSERT_OK(disk_->fork("f" + std::to_string(i)));
  }
  write(0, 2);
  ASSERT_OK(disk_->seal(1, no_progress));
  EXPECT_EQ(contents(*store_.disk("f0")), then);
  EXPECT_EQ(contents(*store_.disk("f127")), then);
  auto links = must(lineage_of(*store_, {"f127", ""}));
  ASSERT_EQ(links.size(), 1u);
  EXPECT_EQ(links[0].record.name, "a");
}

TEST_F(LiveDiskTest, AForkWhoseSourceNobodyHasIsSealedByWhoOpensIt) {
  write(0, 1);
  Bytes then = contents(*disk_);
  ASSERT_OK(disk_->fork("f"));
  write(0, 2);
  disk_.reset();
  store_.reopen();
  EXPECT_EQ(contents(*store_.disk("f")), then);
  EXPECT_FALSE(store_->catalog().head("f").value().origin);
}

TEST_F(LiveDiskTest, APendingCheckpointCanBeForkedAndRemoved) {
  write(0, 1);
  Bytes then = contents(*disk_);
  ASSERT_OK(disk_->cut({"a", {}, {}}));
  ASSERT_OK(disk_->cut({"gone", {}, {}}));
  ASSERT_OK(fork_disk(*store_, {"d", "a"}, "f", std::nullopt));
  ASSERT_OK(remove_checkpoint(*store_, {"d", "a"}));
  ASSERT_OK(remove_checkpoint(*store_, {"d", "gone"}));
  ASSERT_OK(disk_->seal(1, no_progress));
  EXPECT_FAULT(find_checkpoint(*store_, {"d", "a"}), Fault::kNotFound);
  EXPECT_FAULT(find_checkpoint(*store_, {"d", "gone"}), Fault::kNotFound);
  EXPECT_EQ(contents(*store_.disk("f")), then);
}

TEST_F(LiveDiskTest, ADiskWithAForkThatWaitsIsSealedBeforeItIsRemoved) {
  write(0, 1);
  Bytes then = contents(*disk_);
  ASSERT_OK(disk_->fork("f"));
  disk_.reset();
  ASSERT_OK(remove_disk(*store_, "d"));
  EXPECT_EQ(contents(*store_.disk("f")), then);
}

TEST_F(LiveDiskTest, RollbackUnderAWriterIsOneMomentToo) {
  Writer writer(*disk_, 0);
  for (int i = 0; i < 10; i++) writer.write_next();
  ASSERT_OK(disk_->cut({"a", {}, {}}));
  ASSERT_OK(disk_->seal(1, no_progress));
  FoundCheckpoint a = must(find_checkpoint(*store_, {"d", "a"}));
  // Writes a pattern of its own beside the writer's share.
  std::atomic<bool> stop = false;
  std::thread other([&] {
    for (uint64_t i = 1; !stop; i++) write(kSizeBytes / 2 + i % 100 * 5000, i, 5000);
  });
  for (int i = 0; i < 20; i++) {
    write(0, uint64_t(i));
    ASSERT_OK(disk_->roll_back(a.id, a.record));
    Bytes now = contents(*disk_);
    EXPECT_EQ(writer.count_in(now), 10u);
  }
  stop = true;
  other.join();
  ASSERT_OK(disk_->roll_back(a.id, a.record));
  EXPECT_EQ(contents(*disk_), view("a"));
  disk_.reset();
  store_.reopen();
  EXPECT_EQ(contents(*store_.disk("d")), view("a"));
}

TEST_F(LiveDiskTest, RollbackWaitsForNothingButKeepsPendingCheckpoints) {
  write(0, 1);
  ASSERT_OK(disk_->cut({"a", {}, {}}));
  ASSERT_OK(disk_->seal(1, no_progress));
  FoundCheckpoint a = must(find_checkpoint(*store_, {"d", "a"}));
  write(0, 2);
  ASSERT_OK(disk_->cut({"b", {}, {}}));
  EXPECT_FAULT(disk_->roll_back(a.id, a.record), Fault::kBusy);
  ASSERT_OK(disk_->seal(1, no_progress));
  ASSERT_OK(disk_->roll_back(a.id, a.record));
  EXPECT_EQ(contents(*disk_), view("a"));
  EXPECT_NE(view("b"), view("a"));
}

TEST_F(LiveDiskTest, GrowsAndShrinksUnderAWriter) {
  std::array writers = {Writer(*disk_, 0), Writer(*disk_, 1)};
  for (Writer& writer : writers) writer.start();
  for (uint64_t more : {1u, 5000u, 70'000u, 3'000'000u}) {
    ASSERT_OK(disk_->seal(1, no_progress));
    ASSERT_OK(disk_->resize(kSizeBytes + more, {}));
    ASSERT_EQ(disk_->size_bytes(), kSizeBytes + more);
    Bytes tail = random_bytes(more, more);
    ASSERT_OK(disk_->write(kSizeBytes, tail));
    ASSERT_OK(disk_->resize(kSizeBytes + more / 2, {}));
    EXPECT_FAULT(disk_->write(kSizeBytes, tail), Fault::kInvalid);
    ASSERT_OK(disk_->resize(kSizeBytes + more, {}));
    std::fill(tail.begin() + ptrdiff_t(more / 2), tail.end(), std::byte(0));
    Bytes back(more);
    ASSERT_OK(disk_->read(kSizeBytes, back));
    EXPECT_EQ(back, tail);
  }
  for (Writer& writer : writers) writer.stop();
  for (Writer& writer : writers) {
    EXPECT_EQ(writer.count_in(contents(*disk_)), writer.acknowledged());
  }
  Bytes now = contents(*disk_);
  disk_.reset();
  store_.reopen();
  EXPECT_EQ(contents(*store_.disk("d")), now);
}

TEST_F(LiveDiskTest, ASealThatIsStoppedOrOvertakenIsFinishedByTheNext) {
  write(0, 1, 40 * kChunkBytes);
  ASSERT_OK(disk_->cut({"a", {}, {}}));
  Bytes cut = contents(*disk_);
  std::atomic<int> chunks = 0;
  SealOptions some;
  some.stop = [&] { return ++chunks > 10; };
  EXPECT_EQ(must(disk_->seal(some)), SealEnd::kStopped);
  EXPECT_TRUE(disk_->wants_seal());
  SealOptions slow{.urgency = Urgency::kBackground};
  std::atomic<bool> begun = false;
  slow.progress = [&](uint64_t) {
    begun = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  };
  std::thread background([&] { ASSERT_OK(disk_->seal(slow)); });
  while (!begun) std::this_thread::yield();
  ASSERT_OK(disk_->seal(2, no_progress));
  EXPECT_EQ(view("a"), cut);
  background.join();
}

}  // namespace
}  // namespace casdisk
