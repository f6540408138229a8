// What files in every key-value store must do that can hold them.
#include <thread>

#include "cas/kv/kv_files.h"
#include "tests/contract/kv_contract.h"

namespace casdisk {
namespace {

using std::string;

constexpr size_t kBlock = kMaxKvBlockBytes;

string pattern(size_t bytes, unsigned seed) {
  string text(bytes, '\0');
  for (size_t i = 0; i < bytes; i++) text[i] = char(uint8_t((i * 31 + seed * 7 + i / 251) % 251));
  return text;
}

bool can_hold_files(const KvEntry& entry) {
  return entry.capabilities.has(KvCapability::kVersions) &&
         entry.capabilities.has(KvCapability::kBatch) && !entry.limits.is_text;
}

TEST_P(KvContract, FilesNeedVersionsBatchesAndKeysOfBytes) {
  auto opened = KvFiles::open(*store_, {.clock = [this] { return now_ms_.load(); }});
  if (can_hold_files(GetParam())) {
    EXPECT_OK(opened);
  } else {
    EXPECT_FAULT(opened, Fault::kUnsupported);
  }
}

class KvFilesContract : public KvContract {
 public:
  void SetUp() override {
    KvContract::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto opened = KvFiles::open(*store_, {.clock = [this] { return now_ms_.load(); }});
    ASSERT_OK(opened);
    files_ = std::move(opened).value();
  }

 protected:
  string content(std::string_view name) {
    auto info = files_->stat(name);
    EXPECT_OK(info);
    if (!info.ok()) return "(none)";
    string bytes(info.value().size_bytes + 10, '?');
    auto read = files_->read(name, 0, bytes);
    EXPECT_OK(read);
    if (read.ok()) bytes.resize(read.value());
    return bytes;
  }
  std::vector<string> names(std::string_view prefix, size_t limit_count = kMaxKvPageCount) {
    std::vector<string> found;
    KvListOptions options{.limit_count = limit_count};
    do {
      auto page = files_->list(prefix, options);
      EXPECT_OK(page);
      if (!page.ok()) break;
      for (const KvFileInfo& file : page.value().files) found.push_back(file.name);
      options.cursor = page.value().cursor;
    } while (options.cursor);
    return found;
  }
  uint64_t record_count() { return dumped().size(); }

  std::unique_ptr<KvFiles> files_;
};

TEST_P(KvFilesContract, CreateReadStatRemove) {
  for (const size_t size : {size_t(0), size_t(1), kBlock - 1, kBlock, kBlock + 1, 5 * kBlock + 7}) {
    const string name = "dir/file " + std::to_string(size);
    const string bytes = pattern(size, 1);
    auto made = files_->create(name, bytes);
    ASSERT_OK(made);
    EXPECT_EQ(made.value().size_bytes, size);
    EXPECT_EQ(made.value().modified_ms, now_ms_);
    EXPECT_TRUE(content(name) == bytes);
    EXPECT_FAULT(files_->create(name, "x"), Fault::kExists);
    EXPECT_TRUE(content(name) == bytes);
    auto stat = files_->stat(name);
    ASSERT_OK(stat);
    EXPECT_EQ(stat.value().version, made.value().version);
    auto removed = files_->remove(name);
    ASSERT_OK(removed);
    EXPECT_TRUE(removed.value());
    removed = files_->remove(name);
    ASSERT_OK(removed);
    EXPECT_FALSE(removed.value());
    EXPECT_FAULT(files_->stat(name), Fault::kNotFound);
    EXPECT_EQ(record_count(), 0u) << "blocks were left";
  }
  EXPECT_FAULT(files_->create("", ""), Fault::kInvalid);
  EXPECT_FAULT(files_->write("none", 0, "x"), Fault::kNotFound);
  EXPECT_EQ(record_count(), 0u);
}

TEST_P(KvFilesContract, PartsAreRead) {
  const string bytes = pattern(3 * kBlock + 100, 1);
  ASSERT_OK(files_->create("a", bytes));
  for (const size_t offset :
       {size_t(0), size_t(1), kBlock - 1, kBlock, 2 * kBlock + 5, bytes.size()}) {
    for (const size_t size : {size_t(0), size_t(1), size_t(100), kBlock, 2 * kBlock + 2}) {
      string part(size, '?');
      auto read = files_->read("a", offset, part);
      ASSERT_OK(read);
      ASSERT_LE(read.value(), size);
      EXPECT_TRUE(part.substr(0, read.value()) == bytes.substr(offset, size));
    }
  }
  string part(1, '?');
  auto beyond = files_->read("a", ~uint64_t(0), part);
  ASSERT_OK(beyond);
  EXPECT_EQ(beyond.value(), 0u);
}

// Against a plain string, and nothing is left in the store that the file does not need.
TEST_P(KvFilesContract, WritesAnywhere) {
  string model = pattern(2 * kBlock, 1);
  ASSERT_OK(files_->create("a", model));
  const std::pair<size_t, size_t> writes[] = {
      {0, 1},          {kBlock - 1, 2}, {kBlock, kBlock}, {2 * kBlock, 10}, {2 * kBlock + 5, 100},
      {5 * kBlock, 1}, {3 * kBlock, 7}, {0, 6 * kBlock},  {7, 3 * kBlock},  {8 * kBlock + 9, 1}};
  unsigned seed = 2;
  for (const auto& [offset, size] : writes) {
    const string bytes = pattern(size, seed++);
    if (model.size() < offset + size) model.resize(offset + size, '\0');
    model.replace(offset, size, bytes);
    auto written = files_->write("a", offset, bytes);
    ASSERT_OK(written);
    EXPECT_EQ(written.value().size_bytes, model.size());
    ASSERT_TRUE(content("a") == model) << offset;
  }
  EXPECT_LE(record_count(), 1 + (model.size() + kBlock - 1) / kBlock);
  ASSERT_OK(files_->replace("a", "short"));
  EXPECT_EQ(content("a"), "short");
  EXPECT_EQ(record_count(), 2u);
  EXPECT_FAULT(files_->write("a", kMaxKvFileBytes, "x"), Fault::kTooLarge);
  EXPECT_EQ(content("a"), "short");
}

TEST_P(KvFilesContract, ReplaceIfVersion) {
  EXPECT_FAULT(files_->replace("a", "1", 1), Fault::kConflict);
  auto first = files_->replace("a", "1");
  ASSERT_OK(first);
  auto second = files_->replace("a", "2", first.value().version);
  ASSERT_OK(second);
  EXPECT_NE(second.value().version, first.value().version);
  EXPECT_FAULT(files_->replace("a", "3", first.value().version), Fault::kConflict);
  EXPECT_EQ(content("a"), "2");
}

TEST_P(KvFilesContract, NamesAreListed) {
  for (const char* name : {"b", "a/2", "a", "a/1", "a/10", "c"})
    ASSERT_OK(files_->create(name, "1"));
  EXPECT_EQ(names("", 2), (std::vector<string>{"a", "a/1", "a/10", "a/2", "b", "c"}));
  EXPECT_EQ(names("a/", 1), (std::vector<string>{"a/1", "a/10", "a/2"}));
  EXPECT_TRUE(names("x").empty());
  auto page = files_->list("a/1");
  ASSERT_OK(page);
  EXPECT_EQ(page.value().files[0].size_bytes, 1u);
}

TEST_P(KvFilesContract, Rename) {
  const string bytes = pattern(kBlock + 5, 1);
  ASSERT_OK(files_->create("a", bytes));
  ASSERT_OK(files_->create("b", "b"));
  EXPECT_FAULT(files_->rename("a", "b"), Fault::kExists);
  EXPECT_FAULT(files_->rename("x", "y"), Fault::kNotFound);
  EXPECT_OK(files_->rename("a", "c"));
  EXPECT_EQ(names(""), (std::vector<string>{"b", "c"}));
  EXPECT_TRUE(content("c") == bytes);
  EXPECT_EQ(content("b"), "b");
}

// Many small writes make many runs; then the file is written anew.
TEST_P(KvFilesContract, AFileInManyPieces) {
  const size_t block_count = 40;
  string model(block_count * 16, 'x');
  ASSERT_OK(files_->create("a", ""));
  for (size_t i = 0; i < block_count; i++) {
    ASSERT_OK(files_->write("a", i * 2 * kBlock, "y"));
  }
  auto info = files_->stat("a");
  ASSERT_OK(info);
  EXPECT_EQ(info.value().size_bytes, (block_count - 1) * 2 * kBlock + 1);
  EXPECT_EQ(record_count(), 1 + block_count);
  string two(2, '?');
  ASSERT_OK(files_->read("a", 2 * kBlock, two));
  EXPECT_EQ(two, string("y\0", 2));
}

TEST_P(KvFilesContract, OneOfManyCreatesIt) {
  std::atomic<int> winner_count = 0;
  std::vector<std::thread> threads;
  for (int me = 0; me < 4; me++) {
    threads.emplace_back([&, me] {
      auto made = files_->create("a", pattern(kBlock + 1, unsigned(me)));
      winner_count += made.ok() ? 1 : 0;
      if (!made.ok()) {
        EXPECT_FAULT(made, Fault::kExists);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(winner_count, 1);
  EXPECT_EQ(record_count(), 3u);
}

// A reader gets the bytes of one version, whoever replaces the file and frees the old ones.
TEST_P(KvFilesContract, ReadersSeeOneVersion) {
  const size_t size = 3 * kBlock;
  ASSERT_OK(files_->create("a", string(size, 'a')));
  std::atomic<bool> is_over = false;
  std::thread reader([&] {
    string bytes(size, '?');
    while (!is_over) {
      auto read = files_->read("a", 0, bytes);
      ASSERT_OK(read);
      ASSERT_EQ(read.value(), size);
      EXPECT_EQ(bytes, string(size, bytes[0]));
    }
  });
  for (int i = 0; i < 20; i++) ASSERT_OK(files_->replace("a", string(size, char('a' + i))));
  is_over = true;
  reader.join();
  EXPECT_EQ(record_count(), 4u);
}

TEST_P(KvFilesContract, WritersOfDifferentPartsBothWin) {
  ASSERT_OK(files_->create("a", string(4 * kBlock, '0')));
  std::vector<std::thread> threads;
  for (int me = 0; me < 4; me++) {
    threads.emplace_back([&, me] {
      for (int i = 0; i < 5; i++) {
        ASSERT_OK(files_->write("a", size_t(me) * kBlock + size_t(i), string(1, char('a' + me))));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const string bytes = content("a");
  for (size_t me = 0; me < 4; me++) {
    EXPECT_EQ(bytes.substr(me * kBlock, 6), string(5, char('a' + me)) + "0");
  }
  auto freed = files_->collect(0);
  ASSERT_OK(freed);
  EXPECT_EQ(freed.value(), 0u);
  EXPECT_EQ(record_count(), 5u);
}

INSTANTIATE_TEST_SUITE_P(All, KvFilesContract, testing::ValuesIn(kv_entries_that(can_hold_files)),
                         kv_entry_name);

}  // namespace
}  // namespace casdisk
