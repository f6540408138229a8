// A generation on a file system that fails when told, and may be rebooted.
//
// Its two promises: what the page cache holds outlives the process, what a flush covered outlives
// the machine. The machine's end is played by another boot id: the live map then counts for
// nothing, though its bytes are all there.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "cas/os/file_system.h"
#include "index/generation.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {

class RebootingFileSystem : public FaultyFileSystem {
 public:
  RebootingFileSystem(FileSystem& inner, FaultPlan& plan) : FaultyFileSystem(inner, plan) {}
  const std::string& boot_id() const override { return boot_id_; }
  void reboot() { boot_id_ += "x"; }

 private:
  std::string boot_id_ = "boot";
};

inline constexpr uint64_t kGenerationBytes = 1'000'000;

class GenerationTest : public testing::Test {
 protected:
  GenerationTest()
      : inner_(must(make_file_system(IoChoice::kPosix, nullptr))), file_system_(*inner_, plan_) {
    directory_ = must(file_system_.open_directory(temporary_.path()));
    generation_ = must(Generation::create(place(), 1, kGenerationBytes));
  }

  GenerationPlace place() {
    return {&file_system_, directory_.get(), [this] { return ++random_; }, &write_behind_,
            reserve_.get()};
  }
  Result<void> write(uint64_t block, uint64_t count, uint64_t seed) {
    Bytes bytes = random_bytes(seed, count * kBlockBytes);
    WritePiece piece{nullptr, block * kBlockBytes, bytes};
    return generation_->write(std::span(&piece, 1));
  }
  // What the overlay's file has there is something else from now on.
  void overwrite_overlay(uint64_t block, uint64_t count) {
    auto overlay = must(directory_->open("00000001.overlay", OpenMode::kWrite));
    must(overlay->write(block * kBlockBytes, Bytes(count * kBlockBytes)));
  }
  bool holds(uint64_t block, uint64_t count, uint64_t seed) {
    Bytes bytes(count * kBlockBytes);
    must(generation_->overlay().read(block * kBlockBytes, bytes));
    return bytes == random_bytes(seed, count * kBlockBytes);
  }
  BlockState state(uint64_t block) {
    ChunkWord word = generation_->word(block / kBlocksPerChunk);
    uint32_t i = block % kBlocksPerChunk;
    if ((data_blocks(word) >> i) & 1) return BlockState::kData;
    return (zero_blocks(word) >> i) & 1 ? BlockState::kZero : BlockState::kClean;
  }
  void restart() {
    generation_.reset();
    generation_ = must(Generation::recover(place(), 1, kGenerationBytes, false));
  }
  void reboot() {
    file_system_.reboot();
    restart();
  }

  TemporaryDirectory temporary_;
  FaultPlan plan_;
  std::unique_ptr<FileSystem> inner_;
  RebootingFileSystem file_system_;
  std::unique_ptr<Directory> directory_;
  uint64_t random_ = 0;
  WriteBehind write_behind_;
  std::unique_ptr<SpaceReserve> reserve_;  // none unless a test makes one
  std::shared_ptr<Generation> generation_;
};

}  // namespace casdisk
