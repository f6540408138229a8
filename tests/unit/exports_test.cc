#include "nbd/exports.h"

#include <atomic>
#include <thread>

#include "index/lineage.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

// A store with the disks web (and its checkpoint monday) and other, closed.
class ExportsTest : public testing::Test {
 protected:
  ExportsTest() {
    must(create_disk(*store_, "web", {.size_bytes = 1 << 20}));
    must(create_disk(*store_, "other", {.size_bytes = 12345}));
    must(checkpoint_disk(*store_, "web", {"monday", {}, {}}, 1, no_progress));
  }

  std::unique_ptr<Exports> exports(std::optional<VolumeName> only = {}) {
    return must(Exports::open(options(std::move(only))));
  }
  ExportsOptions options(std::optional<VolumeName> only) {
    ExportsOptions options;
    options.store_path = store_.path();
    options.store.io = IoChoice::kPosix;
    options.only = std::move(only);
    return options;
  }

  TestStore store_;
};

std::vector<std::string> names(const Exports& exports) {
  std::vector<std::string> found;
  for (const auto& line : must(exports.list())) found.push_back(line.name);
  return found;
}

TEST_F(ExportsTest, ListsDisksThenCheckpoints) {
  auto all = exports();
  EXPECT_EQ(names(*all), (std::vector<std::string>{"other", "web", "web@monday"}));
  EXPECT_EQ(must(all->description("web")), "1M disk, 1 checkpoint");
  EXPECT_EQ(must(all->description("other")), "12.1K disk, 0 checkpoints");
  EXPECT_TRUE(must(all->description("web@monday")).starts_with("1M checkpoint of 20"));
  EXPECT_FAULT(all->default_name(), Fault::kInvalid);
  EXPECT_FAULT(all->open_export(""), Fault::kInvalid);
}

TEST_F(ExportsTest, OneAloneIsTheDefaultAndHeldThroughout) {
  auto one = exports(VolumeName{"web", ""});
  EXPECT_EQ(names(*one), std::vector<std::string>{"web"});
  EXPECT_EQ(must(one->default_name()), "web");
  EXPECT_EQ(must(one->open_export(""))->volume().name(), "web");
  EXPECT_EQ(must(one->open_export("web"))->volume().size_bytes(), uint64_t(1) << 20);
  EXPECT_FAULT(one->open_export("other"), Fault::kNotFound);
  EXPECT_FAULT(one->open_export("web@monday"), Fault::kNotFound);
  EXPECT_FAULT(Exports::check(options(VolumeName{"web", ""})), Fault::kBusy);
  EXPECT_OK(Exports::check(options(VolumeName{"web", "monday"})));
}

TEST_F(ExportsTest, WhatIsNotShownIsNeitherListedNorTheDefault) {
  auto all = exports();
  auto web_alone = [](const std::string& disk) { return disk == "web"; };
  auto none = [](const std::string&) { return false; };
  std::vector<std::string> listed;
  for (const auto& line : must(all->list(web_alone))) listed.push_back(line.name);
  EXPECT_EQ(listed, (std::vector<std::string>{"web", "web@monday"}));
  EXPECT_TRUE(must(all->list(none)).empty());
  EXPECT_EQ(must(all->default_name(web_alone)), "web");
  auto hidden = all->default_name(none);
  ASSERT_FAULT(hidden, Fault::kInvalid);
  EXPECT_NE(hidden.error().context.find("0 disks"), std::string::npos) << hidden.error().context;
  auto one = exports(VolumeName{"other", ""});
  EXPECT_TRUE(must(one->list(web_alone)).empty());
  hidden = one->default_name(web_alone);
  ASSERT_FAULT(hidden, Fault::kInvalid);
  EXPECT_EQ(hidden.error().context.find("other"), std::string::npos) << hidden.error().context;
}

TEST_F(ExportsTest, AUserMayBeKeptFromWriting) {
  auto all = exports();
  auto reader = must(all->open_export("web")), writer = must(all->open_export("web"));
  reader->forbid_writing();
  EXPECT_FALSE(reader->may_write());
  EXPECT_TRUE(writer->may_write());
  EXPECT_FALSE(must(all->open_export("web@monday"))->may_write());
}

TEST_F(ExportsTest, UsersShareOneDiskAndTheLastOneClosesIt) {
  auto all = exports();
  auto first = must(all->open_export("web"));
  auto second = must(all->open_export("web"));
  EXPECT_EQ(&first->volume(), &second->volume());
  first.reset();
  EXPECT_FAULT(Exports::check(options(VolumeName{"web", ""})), Fault::kBusy);
  second.reset();
  EXPECT_OK(Exports::check(options(VolumeName{"web", ""})));
}

TEST_F(ExportsTest, NamesThatAreNotThereLeaveNothingBehind) {
  auto all = exports();
  for (auto name : {"nope", "web@nope", "nope@monday"}) {
    EXPECT_FAULT(all->open_export(name), Fault::kNotFound) << name;
  }
  for (auto name : {"../web", "a/b", "web@", "@monday", "web\n"}) {
    EXPECT_FAULT(all->open_export(name), Fault::kInvalid) << name;
  }
  EXPECT_FAULT(all->open_export(std::string(4096, 'a')), Fault::kInvalid);
  EXPECT_OK(all->open_export("web"));
}

// A disk excludes even its own process while it is open, so this fails if a user can meet one that
// is being closed.
TEST_F(ExportsTest, UsersMayComeWhileOthersGo) {
  auto all = exports();
  std::atomic<int> failures = 0;
  std::vector<std::thread> users;
  users.reserve(4);
  for (int i = 0; i < 4; i++) {
    users.emplace_back([&] {
      for (int round = 0; round < 100; round++) {
        auto handle = all->open_export("web");
        std::byte bytes[16];
        if (!handle.ok() || !handle.value()->volume().read(0, bytes).ok()) failures++;
      }
    });
  }
  for (auto& user : users) user.join();
  EXPECT_EQ(failures, 0);
}

TEST_F(ExportsTest, WhatWasWrittenIsThereForTheNextUser) {
  auto all = exports();
  const std::byte mark[] = {std::byte(1), std::byte(2), std::byte(3)};
  ASSERT_OK(must(all->open_export("web"))->volume().write(4095, mark));
  std::byte found[3];
  ASSERT_OK(must(all->open_export("web"))->volume().read(4095, found));
  EXPECT_TRUE(std::equal(std::begin(mark), std::end(mark), found));
  ASSERT_OK(must(all->open_export("web@monday"))->volume().read(4095, found));
  EXPECT_EQ(found[0], std::byte(0));
  EXPECT_FALSE(must(all->open_export("web@monday"))->volume().is_writable());
}

}  // namespace
}  // namespace casdisk
