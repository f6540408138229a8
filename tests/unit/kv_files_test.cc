#include "cas/kv/kv_files.h"

#include <gtest/gtest.h>

#include <random>

#include "cas/kv/memory_kv.h"
#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

using std::string;

// Records that outlive the process which writes them: it dies at its n-th write, which is done or
// not, and does nothing any more.
class MortalKv : public MemoryKv {
 public:
  static constexpr KvLimits kLimits = {
      .key_bytes = 100, .value_bytes = 1000, .operation_count = 4, .write_bytes = 4096};

  explicit MortalKv(KvClock clock) : MemoryKv(std::move(clock)) {}
  void die_at(int write_count, bool is_last_one_done) {
    left_count_ = write_count;
    is_last_one_done_ = is_last_one_done;
  }
  Result<std::vector<KvOutcome>> write(const KvWrite& write) override {
    EXPECT_LE(write.operations.size(), kLimits.operation_count);
    if (!is_inside_ && before_ && (every_ || --before_count_ == -1)) {
      is_inside_ = true;
      before_();
      is_inside_ = false;
    }
    if (left_count_-- > 0) return MemoryKv::write(write);
    if (left_count_ == -1 && is_last_one_done_) (void)MemoryKv::write(write).ok();
    return Error{Fault::kUnavailable, 0, "dead"};
  }
  bool has_died() const { return left_count_ < 0; }
  // Before the n-th write from now, or every one, except those of `body` itself.
  void before_write(int n, std::function<void()> body) {
    before_ = std::move(body);
    before_count_ = n;
    every_ = false;
  }
  void before_every_write(std::function<void()> body) {
    before_ = std::move(body);
    every_ = true;
  }

 private:
  std::function<void()> before_;
  int before_count_ = 0;
  bool every_ = false;
  bool is_inside_ = false;
  int left_count_ = 1 << 30;
  bool is_last_one_done_ = false;
};

struct Computer {
  Computer() {
    auto backend = std::make_unique<MortalKv>([this] { return now_ms; });
    records = backend.get();
    store = KvStore::over(std::move(backend), {.name = "mortal:"});
    auto opened = KvFiles::open(*store, {.clock = [this] { return now_ms; }});
    EXPECT_OK(opened);
    files = std::move(opened).value();
  }
  string content(std::string_view name) const {
    string bytes(100'000, '?');
    auto read = files->read(name, 0, bytes);
    if (!read.ok()) {
      EXPECT_FAULT(read, Fault::kNotFound);
      return "(none)";
    }
    return bytes.substr(0, read.value());
  }
  uint64_t record_count() const {
    auto stats = store->stats();
    EXPECT_OK(stats);
    return stats.value().record_count;
  }

  uint64_t now_ms = 1'700'000'000'000;
  MortalKv* records = nullptr;
  std::unique_ptr<KvStore> store;
  std::unique_ptr<KvFiles> files;
};

using Body = std::function<void(KvFiles&)>;

// Whenever the process dies, the files are as before or as after, and what is left over is found.
void expect_whole_at_every_death(const Body& before, const Body& change) {
  const auto contents = [](const Computer& computer) {
    return computer.content("a") + "|" + computer.content("b");
  };
  Computer old;
  before(*old.files);
  const string old_contents = contents(old);
  change(*old.files);
  const string new_contents = contents(old);
  const uint64_t new_record_count = old.record_count();
  bool has_died = true;
  for (int n = 0; has_died; n++) {
    ASSERT_LT(n, 1000);
    for (const bool is_last_one_done : {false, true}) {
      Computer computer;
      before(*computer.files);
      const uint64_t old_record_count = computer.record_count();
      computer.records->die_at(n, is_last_one_done);
      change(*computer.files);
      has_died = computer.records->has_died();
      computer.records->die_at(1 << 30, false);
      computer.now_ms += 1000;
      const string now = contents(computer);
      EXPECT_TRUE(now == old_contents || now == new_contents) << "write " << n;
      ASSERT_OK(computer.files->collect(1001));  // whoever is younger may live
      ASSERT_OK(computer.files->collect(1000));
      EXPECT_EQ(contents(computer), now);
      EXPECT_EQ(computer.record_count(), now == old_contents ? old_record_count : new_record_count)
          << "write " << n;
    }
  }
}

string letters(size_t bytes, char first) {
  string text(bytes, first);
  for (size_t i = 0; i < bytes; i++) text[i] = char(first + char(i / 1000 % 20));
  return text;
}

TEST(KvFiles, ADeathAtEveryWriteOfACreation) {
  expect_whole_at_every_death(
      [](KvFiles&) {}, [](KvFiles& files) { (void)files.create("a", letters(9500, 'a')).ok(); });
}

TEST(KvFiles, ADeathAtEveryWriteOfAnOverwrite) {
  const Body make = [](KvFiles& files) { ASSERT_OK(files.create("a", letters(9500, 'a'))); };
  expect_whole_at_every_death(
      make, [](KvFiles& files) { (void)files.write("a", 2500, letters(5000, 'A')).ok(); });
  expect_whole_at_every_death(
      make, [](KvFiles& files) { (void)files.replace("a", letters(5000, 'A')).ok(); });
}

TEST(KvFiles, ADeathAtEveryWriteOfARemovalAndARename) {
  const Body make = [](KvFiles& files) { ASSERT_OK(files.create("a", letters(9500, 'a'))); };
  expect_whole_at_every_death(make, [](KvFiles& files) { (void)files.remove("a").ok(); });
  expect_whole_at_every_death(make, [](KvFiles& files) { (void)files.rename("a", "b").ok(); });
}

// Where an entry cannot hold more runs, the file is written anew as a whole.
TEST(KvFiles, TooManyPiecesBecomeOne) {
  Computer computer;
  string model(60'000, '.');
  ASSERT_OK(computer.files->create("a", model));
  std::mt19937 random(1);
  for (int i = 0; i < 200; i++) {
    const size_t at = random() % model.size();
    model[at] = char('a' + i % 26);
    ASSERT_OK(computer.files->write("a", at, model.substr(at, 1)));
  }
  EXPECT_TRUE(computer.content("a") == model);
  EXPECT_EQ(computer.record_count(), 61u);
}

// A write that a collector gave up for dead does not publish blocks that are gone, and leaves none.
TEST(KvFiles, AWriteThatIsCollectedBeginsAnew) {
  for (int n = 0; n < 12; n++) {
    Computer computer;
    uint64_t freed_count = 0;
    computer.records->before_write(n, [&] {
      auto freed = computer.files->collect(0);
      ASSERT_OK(freed);
      freed_count = freed.value();
    });
    ASSERT_OK(computer.files->create("a", letters(9500, 'a')));
    EXPECT_EQ(computer.content("a"), letters(9500, 'a'));
    EXPECT_EQ(computer.record_count(), 11u) << n;
    if (n == 2) {
      EXPECT_GT(freed_count, 0u);
    }
  }
  // However often that happens, it ends.
  Computer computer;
  computer.records->before_every_write(
      [&] { EXPECT_OK(KvFiles::open(*computer.store, {}).value()->collect(0)); });
  EXPECT_FAULT(computer.files->create("a", letters(9500, 'a')), Fault::kConflict);
  computer.records->before_every_write(nullptr);
  EXPECT_OK(computer.files->collect(0));
  EXPECT_EQ(computer.record_count(), 0u);
}

TEST(KvFiles, AMissingBlockIsDamageAndNotZeros) {
  Computer computer;
  ASSERT_OK(computer.files->create("a", letters(3000, 'a')));
  std::vector<string> blocks;
  ASSERT_OK(computer.store->visit("\x13", [&](const KvRecord& record) -> Result<void> {
    blocks.push_back(record.key);
    return {};
  }));
  ASSERT_EQ(blocks.size(), 3u);
  ASSERT_OK(computer.store->remove(blocks[1]));
  string bytes(3000, '?');
  EXPECT_FAULT(computer.files->read("a", 0, bytes), Fault::kDamaged);
  EXPECT_FAULT(computer.files->write("a", 1500, "x"), Fault::kDamaged);
  EXPECT_OK(computer.files->read("a", 2500, bytes));
  ASSERT_OK(computer.files->replace("a", "new"));
  EXPECT_EQ(computer.content("a"), "new");
  EXPECT_EQ(computer.record_count(), 2u);
}

KvWriteId id_of(int number) {
  KvWriteId id;
  id.bytes[0] = char(number);
  return id;
}

TEST(KvFileRecord, RunsAreWhatAPlainListSays) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; round++) {
    KvFileRecord record;
    std::vector<int> model;
    for (int i = 1; i < 12; i++) {
      const uint64_t first = random() % 20;
      const uint64_t count = 1 + random() % 8;
      const std::vector<int> old = model;
      if (model.size() < first + count) model.resize(first + count, 0);
      for (uint64_t b = first; b < first + count; b++) model[b] = i;
      uint64_t replaced_count = 0;
      for (const KvBlockRange& range : record.replace(first, count, id_of(i))) {
        for (uint64_t b = range.first; b < range.first + range.count; b++, replaced_count++) {
          ASSERT_TRUE(b >= first && b < first + count && b < old.size());
          EXPECT_EQ(range.write, id_of(old[b]));
          EXPECT_FALSE(range.write.is_hole());
        }
      }
      uint64_t expected_count = 0;
      for (uint64_t b = first; b < first + count && b < old.size(); b++)
        expected_count += old[b] != 0;
      EXPECT_EQ(replaced_count, expected_count);
      for (uint64_t b = 0; b < model.size(); b++) ASSERT_EQ(record.write_of(b), id_of(model[b]));
      record.size_bytes = model.size() * record.block_bytes;
      auto again = decode_kv_file(encode_kv_file(record));
      ASSERT_OK(again);
      EXPECT_EQ(again.value().runs, record.runs);
    }
  }
}

TEST(KvFileRecord, NothingElseIsRead) {
  KvFileRecord record{
      .size_bytes = 100'000, .modified_ms = 5, .runs = {{1, id_of(1)}, {1, id_of(2)}}};
  const Bytes good = encode_kv_file(record);
  ASSERT_OK(decode_kv_file(good));
  for (size_t size = 0; size < good.size(); size++) {
    EXPECT_FAULT(decode_kv_file(std::span(good).first(size)), Fault::kDamaged);
  }
  record.runs[1].write = id_of(1);  // one run, written as two
  EXPECT_FAULT(decode_kv_file(encode_kv_file(record)), Fault::kDamaged);
  record.runs = {{1, id_of(1)}};
  EXPECT_FAULT(decode_kv_file(encode_kv_file(record)), Fault::kDamaged);
  record.runs = {{~uint64_t(0), id_of(1)}};
  EXPECT_FAULT(decode_kv_file(encode_kv_file(record)), Fault::kDamaged);
  const std::vector<KvBlockRange> ranges = {{id_of(1), 3, 4}, {id_of(2), 0, kAllKvBlocks}};
  auto again = decode_kv_ranges(encode_kv_ranges(ranges));
  ASSERT_OK(again);
  EXPECT_EQ(again.value(), ranges);
  EXPECT_FAULT(decode_kv_ranges(Bytes(31)), Fault::kDamaged);
  EXPECT_FAULT(decode_kv_ranges(Bytes(32)), Fault::kDamaged);
}

}  // namespace
}  // namespace casdisk
