// Disks against a model: random requests of any alignment, checkpoints, forks, rollbacks, resizes
// and restarts; after each step that matters, every byte is what a plain array says.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "index/checkpoint_view.h"
#include "index/lineage.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

// Changes of a disk are made as a command makes them, which closes it, or as a server does.
enum class Use { kCommand, kServer };

class Model {
 public:
  Model(uint64_t seed, Use use, uint64_t size_bytes,
        std::optional<std::string> fallback = std::nullopt)
      : random_(seed), use_(use), model_(size_bytes) {
    if (fallback) {
      FILE* file = std::fopen(fallback->c_str(), "rb");
      size_t got = std::fread(model_.data(), 1, model_.size(), file);
      std::fclose(file);
      EXPECT_GT(got, 0u);
    }
    must(create_disk(*store_, "d", CreateOptions{size_bytes, fallback}));
    open("d");
  }

  void step() {
    uint64_t choice = random_() % 100;
    if (choice < 40) return write();
    if (choice < 55) return zero(false);
    if (choice < 65) return zero(true);
    if (choice < 75) return read();
    if (choice < 80) return must(disk_->flush());
    if (choice < 86) return checkpoint();
    if (choice < 89) return rollback();
    if (choice < 93) return restart();
    if (choice < 96) return resize();
    return fork();
  }

  void check_all() {
    ASSERT_EQ(contents(*disk_), model_);
    check_extents();
    ASSERT_OK(disk_->seal(2, no_progress));  // a pending checkpoint has no content of its own yet
    for (const auto& [name, expected] : checkpoints_) {
      auto view = must(CheckpointView::open(*store_, {current_, name}));
      ASSERT_EQ(contents(*view), expected) << name;
    }
  }

 private:
  void open(const std::string& name) {
    disk_ = use_ == Use::kServer ? store_.served_disk(name) : store_.disk(name);
  }

  std::pair<uint64_t, uint64_t> range(uint64_t longest) {
    uint64_t offset = random_() % model_.size();
    uint64_t length = 1 + random_() % std::min<uint64_t>(longest, model_.size() - offset);
    if (random_() % 3 == 0) offset = offset / kBlockBytes * kBlockBytes;
    if (random_() % 3 == 0) length = std::max<uint64_t>(1, length / kBlockBytes) * kBlockBytes;
    return {offset, std::min(length, model_.size() - offset)};
  }

  void write() {
    auto [offset, length] = range(200'000);
    Bytes bytes(length);
    uint8_t fill = uint8_t(random_() % 4);  // often zeros, often equal: collapses and dedups
    for (size_t i = 0; i < length; i++) bytes[i] = std::byte(uint8_t(fill * (1 + i / 5000)));
    ASSERT_OK(disk_->write(offset, bytes));
    std::copy(bytes.begin(), bytes.end(), model_.begin() + ptrdiff_t(offset));
  }

  void zero(bool trim) {
    auto [offset, length] = range(500'000);
    if (!trim) {
      ASSERT_OK(disk_->zero(offset, length));
      std::fill_n(model_.begin() + ptrdiff_t(offset), length, std::byte(0));
      return;
    }
    ASSERT_OK(disk_->trim(offset, length));  // whole blocks become zeros, the rest stays
    Bytes now(length);
    ASSERT_OK(disk_->read(offset, now));
    for (size_t i = 0; i < length; i++) {
      ASSERT_TRUE(now[i] == std::byte(0) || now[i] == model_[offset + i]) << offset + i;
    }
    std::copy(now.begin(), now.end(), model_.begin() + ptrdiff_t(offset));
  }

  void read() {
    auto [offset, length] = range(300'000);
    Bytes bytes(length);
    ASSERT_OK(disk_->read(offset, bytes));
    ASSERT_TRUE(std::equal(bytes.begin(), bytes.end(), model_.begin() + ptrdiff_t(offset)))
        << offset << " " << length;
  }

  void checkpoint() {
    std::string name = "c" + std::to_string(++names_);
    ASSERT_OK(disk_->cut({name, {}, {}}));
    if (random_() % 2 == 0) {
      ASSERT_OK(disk_->seal(2, no_progress));
    }
    checkpoints_[name] = model_;
  }

  void rollback() {
    if (checkpoints_.empty()) return;
    auto chosen = std::next(checkpoints_.begin(), ptrdiff_t(random_() % checkpoints_.size()));
    if (use_ == Use::kServer) {
      ASSERT_OK(disk_->seal(2, no_progress));
      FoundCheckpoint found = must(find_checkpoint(*store_, {current_, chosen->first}));
      ASSERT_OK(disk_->roll_back(found.id, found.record));
    } else {
      disk_.reset();
      ASSERT_OK(rollback_disk(*store_, {current_, chosen->first}));
      open(current_);
    }
    model_ = chosen->second;
    ASSERT_EQ(contents(*disk_), model_);
  }

  void restart() {
    disk_.reset();
    store_.reopen();
    open(current_);
    ASSERT_EQ(contents(*disk_), model_);
  }

  void resize() {
    uint64_t size_bytes = std::max<uint64_t>(1, model_.size() / 2 + random_() % model_.size());
    if (use_ == Use::kServer) {
      ASSERT_OK(disk_->seal(2, no_progress));
      ASSERT_OK(disk_->resize(size_bytes, {}));
    } else {
      disk_.reset();
      ASSERT_OK(resize_disk(*store_, current_, size_bytes, 2, no_progress));
      open(current_);
    }
    model_.resize(size_bytes);
    ASSERT_EQ(contents(*disk_), model_);
  }

  void fork() {
    std::string name = "f" + std::to_string(++names_);
    if (use_ == Use::kServer) {
      ASSERT_OK(disk_->fork(name));
    } else {
      disk_.reset();
      ASSERT_OK(fork_disk(*store_, {current_, ""}, name, std::nullopt));
      open(current_);
    }
    ASSERT_EQ(contents(*disk_), model_);
    ASSERT_OK(disk_->write(0, std::span(&kMark, 1)));  // what comes after is not in the fork
    current_ = name;
    checkpoints_.clear();
    disk_.reset();
    open(current_);  // seals its origin
    ASSERT_EQ(contents(*disk_), model_);
  }

  // Holes read as zeros, the extents cover everything once and in order.
  void check_extents() {
    uint64_t at = 0;
    ASSERT_OK(disk_->extents(0, model_.size(), [&](const Extent& extent) {
      EXPECT_EQ(extent.offset, at);
      EXPECT_GT(extent.length, 0u);
      at = extent.offset + extent.length;
      auto part = std::span(model_).subspan(extent.offset, extent.length);
      EXPECT_TRUE(!extent.is_hole || is_all_zero(part)) << extent.offset;
      return true;
    }));
    ASSERT_EQ(at, model_.size());
  }

  static constexpr std::byte kMark{0xA5};

  std::mt19937_64 random_;
  const Use use_;
  TestStore store_;
  std::shared_ptr<Disk> disk_;
  std::string current_ = "d";
  Bytes model_;
  std::map<std::string, Bytes> checkpoints_;
  int names_ = 0;
};

void run(Model& model, int steps) {
  for (int i = 0; i < steps; i++) {
    model.step();
    if (testing::Test::HasFatalFailure()) return;
    if (i % 25 == 24) model.check_all();
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(DiskModel, EveryByteIsWhatTheModelSays) {
  for (uint64_t seed = 1; seed <= 3; seed++) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    for (Use use : {Use::kCommand, Use::kServer}) {
      Model model(seed, use, 1'500'000 + seed * 4099);
      run(model, 100);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(DiskModel, OverAFallbackToo) {
  TemporaryDirectory directory;
  std::string path = directory.path() + "/base.img";
  FILE* file = std::fopen(path.c_str(), "wb");
  for (int i = 0; i < 700'001; i++) std::fputc(i / 1000 % 7 == 0 ? 0 : i % 251, file);
  std::fclose(file);
  for (uint64_t seed = 11; seed <= 13; seed++) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    for (Use use : {Use::kCommand, Use::kServer}) {
      Model model(seed, use, 1'000'003, path);
      run(model, 100);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace casdisk
