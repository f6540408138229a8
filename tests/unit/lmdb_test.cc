#include "cas/kv/lmdb.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/child_process.h"
#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

std::unique_ptr<LmdbEnvironment> open(const std::string& directory, LmdbOptions options = {}) {
  auto environment = LmdbEnvironment::open(directory, options);
  EXPECT_OK(environment);
  return environment.ok() ? std::move(environment).value() : nullptr;
}

Result<void> put(LmdbEnvironment& environment, std::string_view key, std::string_view value) {
  return environment.update([&](LmdbWriter& writer) -> Result<void> {
    return writer.put(as_bytes(key), as_bytes(value));
  });
}

std::optional<std::string> get(LmdbEnvironment& environment, std::string_view key) {
  std::optional<std::string> found;
  EXPECT_OK(environment.view([&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(auto value, reader.get(as_bytes(key)));
    if (value) found.emplace(reinterpret_cast<const char*>(value->data()), value->size());
    return {};
  }));
  return found;
}

std::vector<std::string> scan(LmdbEnvironment& environment, std::string_view prefix,
                              std::string_view from, size_t limit = 100) {
  std::vector<std::string> keys;
  EXPECT_OK(environment.view([&](LmdbReader& reader) -> Result<void> {
    return reader.scan(as_bytes(prefix), as_bytes(from), [&](auto key, auto) {
      keys.emplace_back(reinterpret_cast<const char*>(key.data()), key.size());
      return keys.size() < limit;
    });
  }));
  return keys;
}

TEST(Lmdb, PutGetRemove) {
  TemporaryDirectory directory;
  auto environment = open(directory.path());
  EXPECT_FALSE(get(*environment, "a"));
  ASSERT_OK(put(*environment, "a", "1"));
  EXPECT_EQ(get(*environment, "a"), "1");
  ASSERT_OK(put(*environment, "a", ""));
  EXPECT_EQ(get(*environment, "a"), "");
  ASSERT_OK(environment->update([](LmdbWriter& writer) -> Result<void> {
    TRY_ASSIGN(bool was_there, writer.remove(as_bytes("a")));
    EXPECT_TRUE(was_there);
    TRY_ASSIGN(was_there, writer.remove(as_bytes("a")));
    EXPECT_FALSE(was_there);
    return {};
  }));
  EXPECT_FALSE(get(*environment, "a"));
}

TEST(Lmdb, FailedUpdateLeavesNoTrace) {
  TemporaryDirectory directory;
  auto environment = open(directory.path());
  ASSERT_OK(put(*environment, "a", "1"));
  EXPECT_FAULT(environment->update([](LmdbWriter& writer) -> Result<void> {
    TRY(writer.put(as_bytes("a"), as_bytes("2")));
    TRY(writer.put(as_bytes("b"), as_bytes("2")));
    return Error{Fault::kDiffers, 0, "on second thoughts"};
  }),
               Fault::kDiffers);
  EXPECT_EQ(get(*environment, "a"), "1");
  EXPECT_FALSE(get(*environment, "b"));
  EXPECT_OK(put(*environment, "b", "3"));
}

TEST(Lmdb, ScanByPrefix) {
  TemporaryDirectory directory;
  auto environment = open(directory.path());
  for (std::string_view key : {"a", "b", "b1", "b2", "b3", "c"})
    ASSERT_OK(put(*environment, key, "x"));
  using Keys = std::vector<std::string>;
  EXPECT_EQ(scan(*environment, "b", ""), (Keys{"b", "b1", "b2", "b3"}));
  EXPECT_EQ(scan(*environment, "b", "b2"), (Keys{"b2", "b3"}));
  EXPECT_EQ(scan(*environment, "b", "b11"), (Keys{"b2", "b3"}));
  EXPECT_EQ(scan(*environment, "b", "a"), (Keys{"b", "b1", "b2", "b3"}));
  EXPECT_EQ(scan(*environment, "b", "c"), Keys{});
  EXPECT_EQ(scan(*environment, "", ""), (Keys{"a", "b", "b1", "b2", "b3", "c"}));
  EXPECT_EQ(scan(*environment, "b", "", 2), (Keys{"b", "b1"}));
  EXPECT_EQ(scan(*environment, "d", ""), Keys{});
}

TEST(Lmdb, SurvivesReopening) {
  TemporaryDirectory directory;
  ASSERT_OK(put(*open(directory.path()), "a", "1"));
  EXPECT_EQ(get(*open(directory.path()), "a"), "1");
}

TEST(Lmdb, AFullFileSystemIsTriedOnceMoreWhenRoomWasMade) {
  const TemporaryDirectory directory;
  int asked = 0, tries = 0;
  bool has_room = true;
  auto environment = open(directory.path(), {.make_room = [&] {
                            asked++;
                            return has_room;
                          }});
  const auto full_once = [&](LmdbWriter& writer) -> Result<void> {
    TRY(writer.put(as_bytes("key"), as_bytes("value")));
    if (++tries == 1) return os_error(ENOSPC, "data.mdb");
    return {};
  };
  EXPECT_OK(environment->update(full_once));
  EXPECT_EQ(asked, 1);
  tries = 0;
  has_room = false;
  EXPECT_FAULT(environment->update(full_once), Fault::kNoSpace);
  EXPECT_EQ(tries, 1);
}

TEST(Lmdb, FullMapIsNoSpaceAndKeepsWhatWasThere) {
  TemporaryDirectory directory;
  auto environment = open(directory.path(), {.map_bytes = 256 * 1024});
  ASSERT_OK(put(*environment, "a", "1"));
  const std::string large(300 * 1024, 'x');
  EXPECT_FAULT(put(*environment, "large", large), Fault::kNoSpace);
  EXPECT_EQ(get(*environment, "a"), "1");
  EXPECT_FALSE(get(*environment, "large"));
  EXPECT_OK(put(*environment, "b", "2"));
}

TEST(Lmdb, RefusesImpossibleKeys) {
  TemporaryDirectory directory;
  auto environment = open(directory.path());
  EXPECT_FAULT(put(*environment, "", "1"), Fault::kInvalid);
  EXPECT_FAULT(put(*environment, std::string(600, 'k'), "1"), Fault::kInvalid);
}

TEST(Lmdb, NamesItsDirectoryInErrors) {
  TemporaryDirectory directory;
  auto absent = LmdbEnvironment::open(directory / "absent", {});
  ASSERT_FAULT(absent, Fault::kNotFound);
  EXPECT_NE(absent.error().context.find(directory / "absent"), std::string::npos);
  std::ofstream(directory / "data.mdb") << std::string(16384, 'x');
  auto garbage = LmdbEnvironment::open(directory.path(), {});
  ASSERT_FAULT(garbage, Fault::kDamaged);
  EXPECT_NE(garbage.error().context.find(directory.path()), std::string::npos);
}

TEST(Lmdb, AFileThatLostItsEndIsDamagedAndNoSignal) {
  TemporaryDirectory directory;
  {
    auto environment = open(directory.path());
    for (int i = 0; i < 200; i++) {
      ASSERT_OK(put(*environment, std::to_string(i), std::string(1000, 'x')));
    }
  }
  const std::string file = directory.path() + "/data.mdb";
  std::filesystem::resize_file(file, 8192);  // the two meta pages
  auto environment = open(directory.path());
  ASSERT_TRUE(environment);
  auto read = environment->view([](LmdbReader& reader) -> Result<void> {
    TRY(reader.get(as_bytes("150")));
    return {};
  });
  ASSERT_FAULT(read, Fault::kDamaged);
}

TEST(Lmdb, SecondOpenOfOneProcessSharesTheFirst) {
  TemporaryDirectory directory;
  auto first = open(directory.path());
  auto second = open(directory.path() + "/.");
  ASSERT_OK(put(*first, "a", "1"));
  EXPECT_EQ(get(*second, "a"), "1");
  first.reset();
  ASSERT_OK(put(*second, "b", "2"));
  EXPECT_EQ(get(*second, "b"), "2");
}

TEST(Lmdb, ReadersSeeOneState) {
  TemporaryDirectory directory;
  auto environment = open(directory.path());
  ASSERT_OK(put(*environment, "a", "1"));
  ASSERT_OK(environment->view([&](LmdbReader& reader) -> Result<void> {
    std::thread([&] { EXPECT_OK(put(*environment, "a", "2")); }).join();
    TRY_ASSIGN(auto value, reader.get(as_bytes("a")));
    EXPECT_EQ((*value)[0], std::byte('1'));
    return {};
  }));
  EXPECT_EQ(get(*environment, "a"), "2");
}

TEST(Lmdb, ManyThreads) {
  TemporaryDirectory directory;
  auto environment = open(directory.path());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; i++) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        EXPECT_OK(put(*environment, key, key));
        for (int j = 0; j < 20; j++) EXPECT_EQ(get(*environment, key), key);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(scan(*environment, "", "").size(), 80u);
}

TEST(Lmdb, ProcessesShareIt) {
  TemporaryDirectory directory;
  auto environment = open(directory.path());
  ASSERT_OK(put(*environment, "a", "1"));
  // The child opens an environment of its own although it inherited one.
  ChildProcess child([&] {
    auto own = LmdbEnvironment::open(directory.path(), {});
    return own.ok() && get(*own.value(), "a") == "1" && put(*own.value(), "b", "2").ok();
  });
  EXPECT_TRUE(child.succeeded());
  EXPECT_EQ(get(*environment, "b"), "2");
  EXPECT_OK(put(*environment, "c", "3"));
}

// In the header of the lock file: the transaction that readers begin at.
bool set_last_transaction(const std::string& directory, uint64_t from, uint64_t to) {
  std::fstream file(directory + "/lock.mdb", std::ios::in | std::ios::out | std::ios::binary);
  std::array<uint64_t, 24> header{};
  file.read(reinterpret_cast<char*>(header.data()), sizeof(header));
  auto found = std::find(header.begin(), header.end(), from);
  if (found == header.end()) return false;
  file.seekp((found - header.begin()) * ptrdiff_t(sizeof(uint64_t)));
  file.write(reinterpret_cast<const char*>(&to), sizeof(to));
  return bool(file.flush());
}

// What a process leaves that is killed between the two halves of a commit: its meta page has it,
// what readers begin at has not, and the writers' lock is a dead one's.
TEST(Lmdb, WhoTakesOverFromTheDeadSeesTheirLastCommit) {
  constexpr uint64_t kBefore = 77;  // commits
  TemporaryDirectory directory;
  auto environment = open(directory.path());
  for (uint64_t i = 0; i < kBefore; i++) ASSERT_OK(put(*environment, "a", std::to_string(i)));
  ChildProcess child([&] {
    auto own = open(directory.path());
    if (!put(*own, "last", "commit").ok()) return false;
    (void)own->update([](LmdbWriter&) -> Result<void> { std::_Exit(0); }).ok();
    return false;
  });
  ASSERT_TRUE(child.succeeded());
  // Not in this process: closing the file would drop LMDB's locks.
  ChildProcess patch([&] { return set_last_transaction(directory.path(), kBefore + 1, kBefore); });
  ASSERT_TRUE(patch.succeeded());
  EXPECT_EQ(get(*environment, "last"), std::nullopt);
  ASSERT_OK(environment->catch_up());
  EXPECT_EQ(get(*environment, "last"), "commit");
}

TEST(Lmdb, FollowsAMapThatAnotherProcessGrew) {
  TemporaryDirectory directory;
  auto environment = open(directory.path(), {.map_bytes = 128 * 1024});
  ChildProcess child([&] {
    auto own = LmdbEnvironment::open(directory.path(), {.map_bytes = 8 << 20});
    return own.ok() && put(*own.value(), "large", std::string(1 << 20, 'x')).ok();
  });
  EXPECT_TRUE(child.succeeded());
  auto large = get(*environment, "large");
  ASSERT_TRUE(large);
  EXPECT_EQ(large->size(), size_t(1) << 20);
  EXPECT_OK(put(*environment, "more", std::string(1 << 20, 'y')));
}

TEST(Lmdb, LeavesNoDescriptorToAnExecutedProgram) {
  TemporaryDirectory directory;
  auto environment = open(directory.path());
  int checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(entry.path(), error);
    if (error || target.string().find(directory.path()) != 0) continue;
    const int descriptor = std::stoi(entry.path().filename().string());
    EXPECT_TRUE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) << target;
    checked++;
  }
  EXPECT_GE(checked, 2);  // data.mdb and lock.mdb
}

}  // namespace
}  // namespace casdisk
