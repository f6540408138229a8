#include "index/garbage_collection.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "index/attachment.h"
#include "index/checkpoint_view.h"
#include "index/gc_explain.h"
#include "index/import_image.h"
#include "index/lineage.h"
#include "tests/support/child_process.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr uint64_t kMiB = uint64_t(1) << 20;
constexpr uint64_t kDiskBytes = 8 * kMiB;

// An image in memory that tells when it is asked for a piece.
class MemoryImage : public ImageSource {
 public:
  MemoryImage(Bytes bytes, std::function<void(uint64_t offset)> before_piece)
      : bytes_(std::move(bytes)), before_piece_(std::move(before_piece)) {}
  std::optional<uint64_t> size_bytes() const override { return bytes_.size(); }
  Result<bool> next(ImagePiece& piece) override {
    before_piece_(at_);
    if (at_ >= bytes_.size()) return false;
    const uint64_t length = std::min<uint64_t>(kMiB, bytes_.size() - at_);
    piece.offset = at_;
    piece.bytes.assign(bytes_.begin() + ptrdiff_t(at_), bytes_.begin() + ptrdiff_t(at_ + length));
    at_ += length;
    return true;
  }
  Result<void> fetch(ImagePiece&) override { return {}; }
  Result<uint64_t> finish() override { return uint64_t(bytes_.size()); }

 private:
  const Bytes bytes_;
  const std::function<void(uint64_t)> before_piece_;
  uint64_t at_ = 0;
};

class GarbageCollectionTest : public testing::Test {
 protected:
  void create(const std::string& disk, uint64_t size_bytes = kDiskBytes) {
    must(create_disk(*store_, disk, CreateOptions{size_bytes, {}}));
  }
  void write(const std::string& disk, uint64_t offset, uint64_t seed, size_t length) {
    ASSERT_OK(store_.disk(disk)->write(offset, random_bytes(seed, length)));
  }
  void checkpoint(const std::string& disk, const std::string& name) {
    must(checkpoint_disk(*store_, disk, {name, {}, {}}, 2, no_progress));
  }
  void seal(const std::string& disk) { must(store_.disk(disk)->seal_all(2, no_progress)); }
  Bytes view(const std::string& disk, const std::string& name) {
    return contents(*must(CheckpointView::open(*store_, {disk, name})));
  }
  void import(const std::string& disk, const Bytes& bytes) {
    MemoryImage image(bytes, [](uint64_t) {});
    must(import_image(*store_, image, disk, 2, [](uint64_t) { return true; }));
  }
  GcReport collect(const GcOptions& options = {}) {
    return must(collect_garbage(*store_, options));
  }
  std::vector<std::filesystem::path> packs() {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(store_.path() + "/packs")) {
      found.push_back(entry.path());
    }
    return found;
  }
  uint64_t stored_bytes() {
    uint64_t bytes = 0;
    for (const auto& pack : packs()) bytes += std::filesystem::file_size(pack);
    return bytes;
  }
  uint64_t object_count() { return store_->local_chunks().object_count().value(); }

  TestStore store_;
};

TEST_F(GarbageCollectionTest, WhatWasRemovedComesBackAndAllElseStays) {
  create("a");
  create("b");
  write("a", 0, 1, 2 * kMiB);
  checkpoint("a", "one");
  write("b", 0, 2, 2 * kMiB);
  checkpoint("b", "one");
  write("a", kMiB, 3, 2 * kMiB);
  checkpoint("a", "two");
  const Bytes a = contents(*store_.disk("a")), b = view("b", "one");
  const uint64_t before = stored_bytes();
  must(remove_checkpoint(*store_, {"a", "one"}));
  GcOptions options;
  options.min_garbage_percent = 10;
  const GcReport report = collect(options);
  EXPECT_GT(report.done.pack_count, 0u);
  EXPECT_NEAR(double(before - stored_bytes()), double(kMiB), 100'000.0);
  for (int i = 0; i < 2; i++) {
    EXPECT_EQ(contents(*store_.disk("a")), a);
    EXPECT_EQ(view("a", "two"), a);
    EXPECT_EQ(view("b", "one"), b);
    store_.reopen();
  }
  must(remove_disk(*store_, "a"));
  must(remove_disk(*store_, "b"));
  collect();
  EXPECT_EQ(packs().size(), 0u);
  EXPECT_EQ(object_count(), 0u);
}

TEST_F(GarbageCollectionTest, ATrimInTheGuestEndsAsFreeSpace) {
  create("a");
  write("a", 0, 1, 6 * kMiB);
  seal("a");
  EXPECT_GT(stored_bytes(), 6 * kMiB);
  ASSERT_OK(store_.disk("a")->trim(0, 5 * kMiB));
  const Bytes before = contents(*store_.disk("a"));
  seal("a");
  collect();
  EXPECT_LT(stored_bytes(), kMiB + 200'000);
  EXPECT_EQ(contents(*store_.disk("a")), before);
}

TEST_F(GarbageCollectionTest, APackWithLittleGarbageIsLeftAloneUnlessItIsAskedFor) {
  create("a");
  write("a", 0, 1, 6 * kMiB);
  seal("a");
  write("a", 0, 2, kMiB / 2);
  seal("a");
  const auto before = packs();
  collect();
  EXPECT_EQ(packs(), before);
  GcOptions options;
  options.min_garbage_percent = 5;
  EXPECT_EQ(collect(options).done.pack_count, 1u);
  EXPECT_LT(stored_bytes(), 6 * kMiB + 200'000);
}

TEST_F(GarbageCollectionTest, ADryRunSaysWhatWouldGoAndChangesNothing) {
  create("a");
  write("a", 0, 1, 2 * kMiB);
  checkpoint("a", "one");
  must(remove_disk(*store_, "a"));
  const uint64_t before = stored_bytes(), objects = object_count();
  const GcReport report = must(look_for_garbage(*store_, {}));
  EXPECT_EQ(report.live_count, 0u);
  EXPECT_EQ(report.object_count, objects);
  EXPECT_EQ(report.collectable_bytes, before);
  EXPECT_EQ(report.stored_bytes, before);
  EXPECT_EQ(stored_bytes(), before);
  EXPECT_EQ(store_->local_chunks().locations().generations().value().current, 0u);
}

TEST_F(GarbageCollectionTest, OneAtATime) {
  auto other = must(store_->gc_lock());
  EXPECT_FAULT(collect_garbage(*store_, {}), Fault::kBusy);
}

// All that a root can be besides a head and a checkpoint.
TEST_F(GarbageCollectionTest, AttachmentsFallbacksAndForksKeepWhatTheyHave) {
  const std::string base = store_.path() + ".base";
  const Bytes base_bytes = random_bytes(5, 2 * kMiB);
  std::ofstream(base, std::ios::binary)
      .write(reinterpret_cast<const char*>(base_bytes.data()), std::streamsize(base_bytes.size()));
  must(create_disk(*store_, "f", CreateOptions{std::nullopt, base}));
  must(ingest_disk(*store_, "f", 2, no_progress));
  std::filesystem::remove(base);
  create("a");
  write("a", 0, 1, kMiB);
  const Bytes memory = random_bytes(6, kMiB + 5);
  {
    const WriteSession session = must(store_->begin_session());
    MemoryImage image(memory, [](uint64_t) {});
    auto attached =
        must(store_attachment(*store_, image, "memory", 1, [](uint64_t) { return true; }));
    auto disk = store_.disk("a");
    ASSERT_OK(disk->cut({"one", {}, {attached}}));
  }
  collect();  // the attachment is pending's
  seal("a");
  must(fork_disk(*store_, {"a", "one"}, "fork", std::nullopt));
  const Bytes a = view("a", "one");
  write("a", 0, 7, kMiB);
  seal("a");
  collect();
  EXPECT_EQ(contents(*must(open_attachment(*store_, {"a", "one"}, "memory"))), memory);
  must(remove_disk(*store_, "a"));
  collect();
  store_.reopen();
  EXPECT_EQ(contents(*store_.disk("fork")), a);
  EXPECT_EQ(contents(*store_.disk("f")), base_bytes);
}

TEST_F(GarbageCollectionTest, AnOpenViewCanBeReadToItsEnd) {
  const Bytes image = random_bytes(1, 3 * kMiB);
  import("a", image);
  StoreOptions options;
  options.cache_bytes = 0;  // what is read is read from the packs
  options.reserve_bytes = 0;
  auto reader = must(Store::open(store_.path(), options));
  auto opened = must(CheckpointView::open(*reader, {"a", "import"}));
  must(remove_disk(*store_, "a"));
  GcReport report = collect();
  EXPECT_EQ(contents(*opened), image);
  EXPECT_EQ(report.done.pack_count, 0u);
  opened.reset();
  EXPECT_EQ(collect().done.pack_count, 1u);
  EXPECT_EQ(packs().size(), 0u);
  EXPECT_FAULT(CheckpointView::open(*reader, {"a", "import"}), Fault::kNotFound);
}

// Pinned first, then looked for: whatever goes just before the pin is there is not opened.
TEST_F(GarbageCollectionTest, AViewOfWhatGoesBeforeItIsPinnedIsNotThere) {
  import("a", random_bytes(1, 3 * kMiB));
  FaultPlan plan;
  auto inner = must(make_file_system(IoChoice::kPosix, nullptr));
  StoreOptions options;
  options.file_system = std::make_shared<FaultyFileSystem>(*inner, plan);
  options.cache_bytes = 0;
  options.reserve_bytes = 0;
  auto reader = must(Store::open(store_.path(), options));
  plan.before_next(FileOperation::kOpen, [&] {  // of the file that is the pin
    must(remove_disk(*store_, "a"));
    EXPECT_EQ(collect().done.pack_count, 1u);
  });
  EXPECT_FAULT(CheckpointView::open(*reader, {"a", "import"}), Fault::kNotFound);
  EXPECT_EQ(packs().size(), 0u);
}

TEST_F(GarbageCollectionTest, ADeadProcessesViewKeepsNothing) {
  import("a", random_bytes(1, kMiB));
  int opened[2];
  ASSERT_EQ(::pipe(opened), 0);
  ChildProcess child([&] {
    auto own = Store::open(store_.path(), {});
    auto view = CheckpointView::open(*own.value(), {"a", "import"});
    if (!view.ok() || ::write(opened[1], "x", 1) != 1) return false;
    for (;;) ::pause();
  });
  char x;
  ASSERT_EQ(::read(opened[0], &x, 1), 1);
  must(remove_disk(*store_, "a"));
  collect();
  EXPECT_EQ(packs().size(), 1u);
  child.kill();
  collect();
  EXPECT_EQ(packs().size(), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(store_.path() + "/views"));
}

// A request that was under way when its layers were replaced reads on from what it began with.
TEST_F(GarbageCollectionTest, ARequestUnderWayKeepsTheRootThatItReads) {
  StoreOptions options;
  options.cache_bytes = 0;
  options.reserve_bytes = 0;
  auto server = must(Store::open(store_.path(), options));
  constexpr uint64_t kBytes = 64 * kMiB;  // four leaves
  create("a", kBytes);
  auto disk = must(Disk::open(*server, "a", {}));
  for (uint64_t at = 0; at < kBytes; at += 4 * kMiB) {
    ASSERT_OK(disk->write(at, random_bytes(at, kChunkBytes)));
  }
  must(disk->seal_all(2, no_progress));
  uint64_t extent_count = 0;
  ASSERT_OK(disk->extents(0, kBytes, [&](const Extent&) {
    if (extent_count++ > 0) return true;
    EXPECT_OK(disk->trim(0, kBytes));
    EXPECT_OK(disk->seal_all(2, no_progress));
    EXPECT_EQ(must(server->catalog().head("a")).root.state, EntryState::kAbsent);
    collect();
    return true;
  }));
  EXPECT_EQ(extent_count, 2 * kBytes / (4 * kMiB));
  must(collect_garbage(*server, {}));
  EXPECT_EQ(packs().size(), 0u);
}

TEST_F(GarbageCollectionTest, WhatIsBeingImportedIsWaitedFor) {
  const Bytes image = random_bytes(1, 4 * kMiB);
  import("old", image);
  must(remove_disk(*store_, "old"));  // garbage, which the import finds
  std::atomic<bool> half = false, go_on = false;
  std::thread importer([&] {
    MemoryImage source(image, [&](uint64_t offset) {
      if (offset < 2 * kMiB) return;
      half = true;
      while (!go_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
    must(import_image(*store_, source, "new", 1, [](uint64_t) { return true; }));
  });
  while (!half) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  GcOptions options;
  int looks = 0;
  options.stop = [&] {
    const auto generations = store_->local_chunks().locations().generations().value();
    if (generations.oldest < generations.current && ++looks == 3) go_on = true;
    return false;
  };
  const GcReport report = collect(options);
  importer.join();
  EXPECT_GE(looks, 3);
  EXPECT_EQ(report.live_count, 0u);  // at first
  EXPECT_EQ(view("new", "import"), image);
  store_.reopen();
  EXPECT_EQ(contents(*store_.disk("new")), image);
  collect();
  EXPECT_EQ(contents(*store_.disk("new")), image);
}

TEST_F(GarbageCollectionTest, InterruptedAnywhereItLosesNothingAndTheNextGoesOn) {
  create("a");
  create("b");
  for (uint64_t i = 0; i < 4; i++) {
    write("a", i * kMiB, i + 1, kMiB);
    write("b", i * kMiB, i + 11, kMiB);
    checkpoint("a", std::to_string(i));
    checkpoint("b", std::to_string(i));
    if (i == 1) store_.reopen();  // another pack
  }
  const Bytes b = contents(*store_.disk("b"));
  must(remove_disk(*store_, "a"));
  int interrupted = 0;
  for (int calls = 0;; calls++) {
    GcOptions options;
    int left = calls;
    options.stop = [&] { return left-- <= 0; };
    auto collected = collect_garbage(*store_, options);
    EXPECT_EQ(contents(*store_.disk("b")), b);
    if (collected.ok()) break;
    EXPECT_EQ(collected.error().os_error, EINTR);
    interrupted++;
    ASSERT_LT(calls, 1000);
  }
  EXPECT_GT(interrupted, 20);
  store_.reopen();
  EXPECT_EQ(contents(*store_.disk("b")), b);
  for (int i = 0; i < 4; i++) view("b", std::to_string(i));
  EXPECT_LT(stored_bytes(), 4 * kMiB + 400'000);
}

TEST_F(GarbageCollectionTest, WhatAKilledWriterLeftIsDeleted) {
  create("a");
  write("a", 0, 1, kMiB);
  seal("a");
  ChildProcess child([&] {
    auto own = Store::open(store_.path(), {});
    auto session = own.value()->begin_session();
    for (uint64_t i = 0; i < 16; i++) {
      if (!own.value()->chunks().put(ObjectKind::kChunk, random_bytes(i + 100)).ok()) return false;
    }
    ::_exit(0);  // no destructor runs
  });
  ASSERT_TRUE(child.succeeded());
  EXPECT_EQ(packs().size(), 2u);
  EXPECT_GT(stored_bytes(), 2 * kMiB);
  collect();
  EXPECT_EQ(packs().size(), 1u);
  EXPECT_LT(stored_bytes(), kMiB + 100'000);
}

void damage(const std::filesystem::path& pack, uint64_t offset) {
  std::fstream file(pack, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(std::streamoff(offset));
  file.write("damaged", 7);
}

TEST_F(GarbageCollectionTest, AnUnreadablePageStopsItBeforeAnythingIsDeleted) {
  create("a");
  create("b");
  write("a", 0, 1, kMiB);
  write("b", 0, 2, kMiB);
  seal("a");
  seal("b");
  const ChunkId root = must(store_->catalog().head("a")).root.id;
  must(remove_disk(*store_, "b"));
  const auto entry = store_->local_chunks().locations().lookup(root).value();
  store_.reopen();
  for (const auto& pack : packs()) damage(pack, entry->location.offset + 60);
  const uint64_t before = stored_bytes();
  auto collected = collect_garbage(*store_, {});
  ASSERT_FAULT(collected, Fault::kDamaged);
  EXPECT_NE(collected.error().context.find(to_hex(root)), std::string::npos);
  EXPECT_NE(collected.error().context.find("which a needs"), std::string::npos);
  EXPECT_NE(collected.error().context.find("casdisk verify"), std::string::npos);
  EXPECT_EQ(stored_bytes(), before);
  EXPECT_EQ(store_->local_chunks().locations().generations().value().current, 0u);
}

TEST_F(GarbageCollectionTest, APackWithAnUnreadableChunkThatIsNeededStays) {
  create("a");
  create("b");
  write("a", 0, 1, kMiB);
  write("b", 0, 2, kMiB);
  seal("a");
  seal("b");
  store_.reopen();
  create("c");
  write("c", 0, 3, kMiB);
  seal("c");
  const ChunkId chunk = hash_of(random_bytes(1, kChunkBytes));
  const auto entry = store_->local_chunks().locations().lookup(chunk).value();
  must(remove_disk(*store_, "b"));
  must(remove_disk(*store_, "c"));
  store_.reopen();
  const std::string pack = store_.path() + "/packs/" + pack_file_name(entry->location.pack);
  damage(pack, entry->location.offset + 500);
  const GcReport report = collect();
  ASSERT_EQ(report.done.failures.size(), 1u);
  EXPECT_NE(report.done.failures[0].context.find(to_hex(chunk)), std::string::npos);
  EXPECT_EQ(packs(), std::vector<std::filesystem::path>{pack});  // c's is gone
  Bytes bytes(kChunkBytes);
  EXPECT_OK(store_.disk("a")->read(kChunkBytes, bytes));
  EXPECT_FAULT(store_.disk("a")->read(0, bytes), Fault::kDamaged);
}

TEST_F(GarbageCollectionTest, PacksOfALostTableAreNotDeleted) {
  create("a");
  write("a", 0, 1, kMiB);
  seal("a");
  must(remove_disk(*store_, "a"));
  std::filesystem::rename(packs()[0], store_.path() + "/packs/" + pack_file_name(99));
  auto collected = collect_garbage(*store_, {});
  ASSERT_FAULT(collected, Fault::kDamaged);
  EXPECT_NE(collected.error().context.find("repair"), std::string::npos);
  EXPECT_EQ(packs().size(), 1u);
}

TEST_F(GarbageCollectionTest, RecordsStayWhileSomethingDescendsFromThem) {
  create("a");
  for (int i = 0; i < 3; i++) {
    write("a", 0, uint64_t(i), kMiB);
    checkpoint("a", std::to_string(i));
  }
  must(fork_disk(*store_, {"a", "1"}, "fork", std::nullopt));
  must(remove_disk(*store_, "a"));
  EXPECT_EQ(collect().removed_record_count, 1u);  // a@2
  auto links = must(lineage_of(*store_, {"fork", ""}));
  ASSERT_EQ(links.size(), 2u);
  EXPECT_EQ(links[0].record.name, "1");
  for (const LineageLink& link : links) EXPECT_OK(store_->chunks().get(link.id));
  must(remove_disk(*store_, "fork"));
  EXPECT_EQ(collect().removed_record_count, 2u);
  EXPECT_EQ(object_count(), 0u);
}

TEST_F(GarbageCollectionTest, ARollbackToACheckpointThatWentMeanwhileIsRefused) {
  create("a");
  write("a", 0, 1, kMiB);
  checkpoint("a", "one");
  const FoundCheckpoint found = must(find_checkpoint(*store_, {"a", "one"}));
  write("a", 0, 2, kMiB);
  const Bytes before = contents(*store_.disk("a"));
  must(remove_checkpoint(*store_, {"a", "one"}));
  EXPECT_FAULT(store_.disk("a")->roll_back(found.id, found.record), Fault::kNotFound);
  EXPECT_EQ(contents(*store_.disk("a")), before);
}

TEST_F(GarbageCollectionTest, ExplainsWhatEachKeepsAloneAndWhatItShares) {
  create("a");
  write("a", 0, 1, 2 * kMiB);
  checkpoint("a", "one");  // 2 MiB, of which 1 is soon its own
  write("a", 0, 2, kMiB);
  checkpoint("a", "two");
  must(fork_disk(*store_, {"a", "two"}, "fork", std::nullopt));
  write("fork", 4 * kMiB, 3, kMiB / 2);
  seal("fork");
  const Explanation all = must(explain_store(*store_, [] { return false; }));
  auto of = [&](const std::string& name) {
    for (const Pinned& each : all.pinned) {
      if (each.name == name) return each;
    }
    ADD_FAILURE() << name;
    return Pinned{};
  };
  constexpr double kPages = 50'000;  // and records
  EXPECT_NEAR(double(of("a@one").alone.stored), double(kMiB), kPages);
  EXPECT_NEAR(double(of("a@one").shared.stored), double(kMiB), kPages);
  EXPECT_NEAR(double(of("fork").alone.plain), double(kMiB / 2), kPages);
  EXPECT_NEAR(double(of("fork").shared.plain), double(2 * kMiB), kPages);
  EXPECT_EQ(of("a").alone.stored, 0u);
  EXPECT_NEAR(double(of("a").shared.stored), double(2 * kMiB), kPages);
  EXPECT_NEAR(double(of("a@two").alone.stored), 0.0, 1000.0);  // its record
  EXPECT_NEAR(double(all.shared.stored), double(2 * kMiB), kPages);
  uint64_t sum = all.shared.stored;
  for (const Pinned& each : all.pinned) sum += each.alone.stored;
  EXPECT_EQ(sum + kPackHeaderBytes * packs().size(), stored_bytes());
}

}  // namespace
}  // namespace casdisk
