// What every key-value store that keeps its own files must survive: a process that dies while it
// writes or compacts, and a full disk. It opens, and holds what it acknowledged.
//
// Torn ends of files are each engine's own matter: lmdb_kv_test, rocksdb_kv_test, hyperv_pool_test.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "tests/contract/kv_contract.h"
#include "tests/support/child_process.h"
#include "tests/support/small_file_system.h"

namespace casdisk {
namespace {

using std::string;

bool is_embedded(const KvEntry& entry) {
  return entry.is_embedded && entry.capabilities.has(KvCapability::kDurable);
}
bool is_embedded_and_compacts(const KvEntry& entry) {
  return is_embedded(entry) && entry.capabilities.has(KvCapability::kCompact);
}

class KvKilled : public KvContract {
 protected:
  static constexpr int kWriters = 3;
  static constexpr int kKeys = 50;  // of each writer, which overwrites them in turn

  struct Acknowledged {
    int writer = 0;
    int number = 0;
  };

  // What a child does until it is killed: each writer tells of each write that returned, and of
  // each second one that removed what was written before.
  void write_for_ever(KvStore& store, int me, int first, int pipe) {
    for (int i = first;; i++) {
      const bool is_put = store.put(key_of(me, i), value_of(i)).ok();
      const Acknowledged done{me, i};
      if (!is_put || ::write(pipe, &done, sizeof done) != sizeof done) ::_exit(1);
    }
  }
  static string key_of(int writer, int number) {
    return std::to_string(writer) + "/" + std::to_string(number % kKeys);
  }
  string value_of(int number) const {
    const string text = std::to_string(number) + " ";
    return text + string(std::min<size_t>(limits().value_bytes / 2, 3000), 'v');
  }

  // A round: a child writes, and does `beside` as well; after so long it is killed.
  void run_and_kill(std::chrono::microseconds life, const std::function<void(KvStore&)>& beside) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const auto first = last_;
    ChildProcess child([&] {
      auto opened = subject_->open(options());
      if (!opened.ok()) return false;
      std::vector<std::thread> threads;
      for (int me = 0; me < kWriters; me++) {
        threads.emplace_back(
            [&, me] { write_for_ever(*opened.value(), me, first[size_t(me)] + 1, pipe[1]); });
      }
      beside(*opened.value());
      for (std::thread& thread : threads) thread.join();
      return true;
    });
    ::close(pipe[1]);
    Acknowledged done;
    const auto hear = [&] { return ::read(pipe[0], &done, sizeof done) == sizeof done; };
    bool is_alive = hear();
    EXPECT_TRUE(is_alive) << "the child could not write";
    const auto end = std::chrono::steady_clock::now() + life;
    for (; is_alive && std::chrono::steady_clock::now() < end; is_alive = hear()) {
      last_[size_t(done.writer)] = done.number;
    }
    EXPECT_TRUE(is_alive) << "the child gave up";
    child.kill();
    for (; is_alive; is_alive = hear()) last_[size_t(done.writer)] = done.number;
    ::close(pipe[0]);
  }

  // Each key has what was acknowledged last, or what its writer was at when it died.
  void expect_all_acknowledged() {
    for (int me = 0; me < kWriters; me++) {
      const int last = last_[size_t(me)];
      for (int i = std::max(0, last - kKeys + 2); i <= last; i++) {
        EXPECT_EQ(get(key_of(me, i)), value_of(i)) << i << " of " << last;
      }
      if (last + 1 < kKeys) continue;
      const string oldest = get(key_of(me, last + 1));
      EXPECT_TRUE(oldest == value_of(last + 1) || oldest == value_of(last + 1 - kKeys));
    }
  }

  std::vector<int> last_ = std::vector<int>(kWriters, -1);  // acknowledged, of each writer
};

class KvKilledCompaction : public KvKilled {};

TEST_P(KvKilled, WritersAtManyMoments) {
  store_.reset();
  for (int round = 0; round < 10; round++) {
    run_and_kill(std::chrono::microseconds(2000 + 1700 * round), [](KvStore&) {});
    reopen();
    expect_all_acknowledged();
    put("after", std::to_string(round));
    EXPECT_EQ(get("after"), std::to_string(round));
    store_.reset();
  }
}

TEST_P(KvKilledCompaction, AtManyMomentsWithWritersBesideIt) {
  for (int i = 0; i < 300; i++) put("old/" + std::to_string(i), string(2000, 'o'));
  for (int i = 0; i < 300; i += 3) ASSERT_OK(store_->remove("old/" + std::to_string(i)));
  store_.reset();
  for (int round = 0; round < 15; round++) {
    run_and_kill(std::chrono::microseconds(3000 + 1300 * round), [](KvStore& store) {
      while (store.compact().ok()) {
      }
      ::_exit(1);
    });
    reopen();
    expect_all_acknowledged();
    EXPECT_EQ(get("old/0"), "(none)");  // nothing comes back
    EXPECT_EQ(keys("old/").size(), 200u);
    store_.reset();
  }
}

INSTANTIATE_TEST_SUITE_P(All, KvKilled, testing::ValuesIn(kv_entries_that(is_embedded)),
                         kv_entry_name);
INSTANTIATE_TEST_SUITE_P(All, KvKilledCompaction,
                         testing::ValuesIn(kv_entries_that(is_embedded_and_compacts)),
                         kv_entry_name);

// On a file system of its own, which somebody else fills up.
class KvFullDisk : public KvContract {
 public:
  void SetUp() override {
    if (!disk_.skip_reason().empty()) GTEST_SKIP() << disk_.skip_reason();
    subject_ = GetParam().make(disk_.path());
    reopen();
  }
  // The mount cannot go while the store has files open on it.
  void TearDown() override { store_.reset(); }

 protected:
  // What is left to the store: less than it could use, and enough that it opens.
  uint64_t room_bytes() const { return limits().record_count != 0 ? 256 << 10 : 40 << 20; }

  string value_of(int number) const {
    return std::to_string(number) +
           string(std::min<size_t>(limits().value_bytes - 20, 50'000), 'v');
  }
  // Until one fails, or `most` are written.
  Fault put_until_it_is_full(int most) {
    for (int i = 0; i < most; i++) {
      auto done = store_->put("k" + std::to_string(acknowledged_count_), value_of(i));
      if (!done.ok()) return done.error().fault;
      values_.push_back(value_of(i));
      acknowledged_count_++;
    }
    return Fault::kDiffers;  // it is not full
  }
  void expect_all_acknowledged() {
    for (int i = 0; i < acknowledged_count_; i++) {
      ASSERT_EQ(get("k" + std::to_string(i)), values_[size_t(i)]) << i;
    }
  }

  SmallFileSystem disk_{128 << 20};
  int acknowledged_count_ = 0;
  std::vector<string> values_;
};

TEST_P(KvFullDisk, LosesNothingAndGoesOnWhenThereIsSpaceAgain) {
  disk_.fill_but(room_bytes());
  EXPECT_EQ(put_until_it_is_full(1000), Fault::kNoSpace);
  EXPECT_GT(acknowledged_count_, 10);
  expect_all_acknowledged();
  // Full by its own doing, it opens.
  reopen();
  expect_all_acknowledged();

  // Now there is nothing left at all. What fits into what it holds already is still written.
  disk_.fill_but(0);
  EXPECT_EQ(put_until_it_is_full(1000), Fault::kNoSpace);
  expect_all_acknowledged();
  // It opens, or says why it does not.
  store_.reset();
  disk_.take_all_but(0);
  auto opened = subject_->open(options());
  if (opened.ok()) {
    store_ = std::move(opened).value();
    expect_all_acknowledged();
  } else {
    EXPECT_FAULT(opened, Fault::kNoSpace);
  }

  disk_.give_back();
  if (!store_) reopen();
  put("after", "1");
  EXPECT_EQ(put_until_it_is_full(20), Fault::kDiffers);
  reopen();
  EXPECT_EQ(get("after"), "1");
  expect_all_acknowledged();
}

// The space goes in the middle of writing, behind the store's back.
TEST_P(KvFullDisk, ThatFillsUpBehindItsBack) {
  EXPECT_EQ(put_until_it_is_full(200), Fault::kDiffers);
  disk_.fill_but(0);
  EXPECT_EQ(put_until_it_is_full(800), Fault::kNoSpace);
  expect_all_acknowledged();
  disk_.give_back();
  EXPECT_EQ(put_until_it_is_full(20), Fault::kDiffers);
  expect_all_acknowledged();
  reopen();
  expect_all_acknowledged();
}

INSTANTIATE_TEST_SUITE_P(All, KvFullDisk, testing::ValuesIn(kv_entries_that(is_embedded)),
                         kv_entry_name);

}  // namespace
}  // namespace casdisk
