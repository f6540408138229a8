#include "nbd/auth/master_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "nbd/auth/private_file.h"
#include "nbd/auth/psk_file.h"
#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

using std::string;

unsigned mode_of(const string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

void write_file(const string& path, const string& text, mode_t mode) {
  std::ofstream(path) << text;
  ASSERT_EQ(::chmod(path.c_str(), mode), 0);
}

size_t file_count(const TemporaryDirectory& directory) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    count++;
  }
  return count;
}

const string kKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

TEST(MasterKeys, AreReadAsTheyAreWritten) {
  const TemporaryDirectory directory;
  const string path = directory / "key";
  const MasterKeys made = MasterKeys::make();
  ASSERT_OK(made.save_new(path));
  EXPECT_EQ(mode_of(path), 0600u);
  auto read = MasterKeys::load(path);
  ASSERT_OK(read);
  EXPECT_EQ(read.value().newest().id, made.newest().id);
  EXPECT_EQ(read.value().newest().key.text(), made.newest().key.text());

  auto more = made.with_new_key();
  ASSERT_OK(more);
  EXPECT_NE(more.value().newest().id, made.newest().id);
  ASSERT_OK(more.value().save(path));
  EXPECT_EQ(mode_of(path), 0600u);
  read = MasterKeys::load(path);
  ASSERT_OK(read);
  EXPECT_EQ(read.value().count(), 2u);
  EXPECT_NE(read.value().find(made.newest().id), nullptr);
  ASSERT_OK(read.value().only_newest().save(path));
  read = MasterKeys::load(path);
  ASSERT_OK(read);
  EXPECT_EQ(read.value().count(), 1u);
  EXPECT_EQ(read.value().find(made.newest().id), nullptr);
  EXPECT_EQ(file_count(directory), 1u) << "nothing is left beside it";
}

TEST(MasterKeys, ANewFileIsNeverPutOverAnother) {
  const TemporaryDirectory directory;
  const string path = directory / "key";
  const MasterKeys first = MasterKeys::make();
  ASSERT_OK(first.save_new(path));
  EXPECT_FAULT(MasterKeys::make().save_new(path), Fault::kExists);
  EXPECT_FAULT(MasterKeys::make().save_new(directory / "no/key"), Fault::kNotFound);
  auto read = MasterKeys::load(path);
  ASSERT_OK(read);
  EXPECT_EQ(read.value().newest().id, first.newest().id);
  EXPECT_EQ(file_count(directory), 1u);
}

TEST(MasterKeys, AFileThatOthersMayReadIsRefused) {
  const TemporaryDirectory directory;
  const string path = directory / "key";
  for (const mode_t mode : {0640, 0604, 0620, 0602, 0610, 0601}) {
    write_file(path, kKey + "\n", mode);
    auto read = MasterKeys::load(path);
    ASSERT_FAULT(read, Fault::kInvalid);
    EXPECT_NE(read.error().context.find("chmod 600 " + path), string::npos) << read.error().context;
    EXPECT_EQ(read.error().context.find(kKey.substr(0, 8)), string::npos);
  }
  write_file(path, kKey + "\n", 0400);
  EXPECT_OK(MasterKeys::load(path));
  EXPECT_FAULT(MasterKeys::load(directory.path()), Fault::kInvalid);
  EXPECT_FAULT(MasterKeys::load(directory / "none"), Fault::kNotFound);
}

TEST(MasterKeys, CommentsAndSpacesAreNotKeysAndNothingElseIsOne) {
  auto keys = MasterKeys::parse("# a comment\n\n  " + kKey + " \r\n#" + kKey);
  ASSERT_OK(keys);
  EXPECT_EQ(keys.value().count(), 1u);
  EXPECT_EQ(master_key_name(keys.value().newest().id), "087930500517fe8b");
  for (const string& text : {string(), string("#\n"), kKey.substr(2), kKey + "00", kKey + kKey,
                             "g" + kKey.substr(1), kKey + "\nx", string("\0", 1)}) {
    auto refused = MasterKeys::parse(text);
    ASSERT_FAULT(refused, Fault::kInvalid);
    EXPECT_EQ(refused.error().context.find("0102"), string::npos) << "no key in an error";
  }
  string many;
  for (size_t i = 0; i < kMaxMasterKeys; i++) many += kKey + "\n";
  EXPECT_OK(MasterKeys::parse(many));
  EXPECT_FAULT(MasterKeys::parse(many + kKey), Fault::kInvalid);
  EXPECT_FAULT(MasterKeys::parse(many).value().with_new_key(), Fault::kLimit);
}

TEST(PrivateFile, IsReadInBoundsOnly) {
  const TemporaryDirectory directory;
  const string path = directory / "file";
  ASSERT_OK(write_private_file(path, "12345", IfThere::kFail));
  auto read = read_private_file(path, 5);
  ASSERT_OK(read);
  EXPECT_EQ(read.value(), "12345");
  auto refused = read_private_file(path, 4);
  ASSERT_FAULT(refused, Fault::kTooLarge);
  EXPECT_EQ(refused.error().max, 4u);
  EXPECT_EQ(refused.error().actual, 5u);
}

TEST(PrivateFile, WhatWasNotFinishedIsRemoved) {
  const TemporaryDirectory directory;
  for (const char* name : {"key", "key.new-0123", "key.new-4567", "key.new", "other.new-0123"}) {
    write_file(directory / name, "secret", 0600);
  }
  remove_unfinished(directory / "key");
  EXPECT_EQ(file_count(directory), 3u);
  EXPECT_TRUE(std::filesystem::exists(directory / "key"));
  EXPECT_FALSE(std::filesystem::exists(directory / "key.new-4567"));
}

TEST(PskFile, IsReplacedAsAWholeAndOnlyWhereItDiffers) {
  const TemporaryDirectory directory;
  const string path = directory / "keys.psk";
  const auto written = [&](const string& text) {
    auto changed = write_psk_file(path, text);
    EXPECT_OK(changed);
    return changed.ok() && changed.value();
  };
  const auto inode = [&] {
    struct stat status = {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_ino;
  };
  EXPECT_TRUE(written("a:00\n"));
  EXPECT_EQ(mode_of(path), 0600u);
  const auto before = inode();
  EXPECT_FALSE(written("a:00\n"));
  EXPECT_EQ(inode(), before);
  EXPECT_TRUE(written("a:00\nb:11\n"));
  EXPECT_NE(inode(), before);
  EXPECT_TRUE(written("a:00\n"));
  EXPECT_TRUE(written(""));
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_TRUE(written("")) << "it was readable by others";
  EXPECT_EQ(mode_of(path), 0600u);
  EXPECT_EQ(file_count(directory), 1u);
}

}  // namespace
}  // namespace casdisk
