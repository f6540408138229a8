// The simulated computer does to its disk what its fault model says, and nothing else.
#include "tests/support/simulated_computer.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/sample_data.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

constexpr uint64_t kPage = kSimulatedPageBytes;

// One process on a computer; what a test does with it between two crashes.
class Session {
 public:
  explicit Session(SimulatedComputer& computer) : process_(computer.start_process()) {}
  Directory& root() {
    if (!root_) root_ = must(process_.file_system->open_directory("/"));
    return *root_;
  }
  std::unique_ptr<File> open(const std::string& name) {
    return must(root().open(name, OpenMode::kCreateAny));
  }
  Bytes content(const std::string& name) {
    auto file = must(root().open(name, OpenMode::kRead));
    Bytes bytes(must(file->size()));
    must(file->read(0, bytes));
    return bytes;
  }
  std::unique_ptr<LmdbEnvironment> environment() {
    must(root().make_directory("kv"));
    return must(process_.machine->open_environment("/kv", {}));
  }
  SimulatedComputer::Process& process() { return process_; }

 private:
  SimulatedComputer::Process process_;
  std::unique_ptr<Directory> root_;
};

Bytes pages(uint64_t count, uint8_t fill) { return Bytes(count * kPage, std::byte(fill)); }

TEST(SimulatedComputer, AKilledProcessLosesNothingAndReachesNothing) {
  SimulatedComputer computer(1);
  Session before(computer);
  auto file = before.open("a");
  must(file->write(0, pages(2, 1)));
  auto mapping = must(before.root().map(*file));
  mapping->bytes()[5] = std::byte(9);
  auto lock = before.process().machine->lock("/lock", "it", "note");
  EXPECT_FAULT(Session(computer).process().machine->lock("/lock", "it", ""), Fault::kBusy);
  computer.end_processes();
  mapping->bytes()[6] = std::byte(9);
  EXPECT_FAULT(file->write(0, pages(1, 7)), Fault::kIo);
  Session after(computer);
  Bytes expected = pages(2, 1);
  expected[5] = std::byte(9);
  EXPECT_EQ(after.content("a"), expected);
  EXPECT_OK(after.process().machine->lock("/lock", "it", ""));
  EXPECT_EQ(after.process().file_system->boot_id(), before.process().file_system->boot_id());
}

TEST(SimulatedComputer, APowerCutLeavesAnyWholeContentOfEachPageSinceTheSync) {
  std::set<uint8_t> seen;
  std::set<uint64_t> mixes;
  for (uint64_t seed = 0; seed < 200; seed++) {
    SimulatedComputer computer(seed);
    auto file = Session(computer).open("a");
    for (uint8_t fill = 1; fill <= 3; fill++) {
      must(file->write(0, pages(2, fill)));
      if (fill == 1) must(file->sync());
    }
    must(must(computer.start_process().file_system->open_directory("/"))->sync());
    computer.cut_power();
    const Bytes found = Session(computer).content("a");
    ASSERT_EQ(found.size(), 2 * kPage);
    for (uint64_t page = 0; page < 2; page++) {
      for (uint64_t i = 0; i < kPage; i++) ASSERT_EQ(found[page * kPage], found[page * kPage + i]);
      seen.insert(uint8_t(found[page * kPage]));
    }
    mixes.insert(uint64_t(found[0]) * 10 + uint64_t(found[kPage]));
  }
  EXPECT_EQ(seen, (std::set<uint8_t>{1, 2, 3}));
  EXPECT_EQ(mixes.size(), 9u);  // each page by itself
}

TEST(SimulatedComputer, PartsOfPagesAreTornAtSectorsAndNewPagesMayHoldJunk) {
  bool torn = false, junk = false, lost = false, kept = false;
  for (uint64_t seed = 0; seed < 100; seed++) {
    SimulatedComputer computer(seed);
    Session session(computer);
    auto file = session.open("a");
    must(file->write(0, pages(1, 1)));
    must(file->sync());
    must(session.root().sync());
    must(file->write(100, Bytes(3000, std::byte(2))));
    must(file->write(kPage, pages(1, 3)));
    computer.cut_power();
    const Bytes found = Session(computer).content("a");
    bool has_old = false, has_new = false;
    for (uint64_t i = 512; i < 3072; i++) (found[i] == std::byte(1) ? has_old : has_new) = true;
    torn |= has_old && has_new;
    EXPECT_TRUE(std::all_of(found.begin(), found.begin() + 100,
                            [](std::byte byte) { return byte == std::byte(1); }));
    lost |= found.size() == kPage;
    for (uint64_t i = kPage; i < found.size(); i++) {
      kept |= found[i] == std::byte(3);
      junk |= found[i] != std::byte(3) && found[i] != std::byte(0);
    }
  }
  EXPECT_TRUE(torn && junk && lost && kept);
}

TEST(SimulatedComputer, WhatWasSyncedStays) {
  for (uint64_t seed = 0; seed < 50; seed++) {
    SimulatedComputer computer(seed);
    Session session(computer);
    auto file = session.open("a");
    must(file->write(100, random_bytes(seed, 20'000)));
    must(file->punch(kPage, kPage));
    must(file->resize(15'000));
    must(file->sync());
    must(session.root().sync());
    const Bytes before = session.content("a");
    computer.cut_power();
    EXPECT_EQ(Session(computer).content("a"), before);
    computer.cut_power();
    EXPECT_EQ(Session(computer).content("a"), before);
  }
}

TEST(SimulatedComputer, NamesAreThereOrNotEachByItselfUntilTheirDirectoryIsSynced) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 200; seed++) {
    SimulatedComputer computer(seed);
    Session session(computer);
    session.open("old");
    session.open("gone");
    must(session.root().sync());
    session.open("new");
    must(session.root().rename("old", "renamed"));
    must(session.root().remove("gone"));
    computer.cut_power();
    std::string names;
    for (const std::string& name : must(Session(computer).root().list())) names += name + " ";
    outcomes.insert(names);
  }
  EXPECT_EQ(outcomes.size(), 8u);
  EXPECT_TRUE(outcomes.contains("gone old ") && outcomes.contains("new renamed "));
}

TEST(SimulatedComputer, AFailedSyncMayHaveDroppedWhatNoLaterOneCovers) {
  bool dropped_at_once = false, dropped_on_the_device = false;
  for (uint64_t seed = 0; seed < 60; seed++) {
    SimulatedComputer computer(seed);
    Session session(computer);
    auto file = session.open("a");
    must(file->write(0, pages(1, 1)));
    must(file->sync());
    must(session.root().sync());
    must(file->write(0, pages(1, 2)));
    computer.set_faults({.failed_sync = 1'000'000});
    EXPECT_FAULT(file->sync(), Fault::kPoisoned);
    computer.set_faults({});
    EXPECT_FAULT(file->sync(), Fault::kPoisoned);  // it is never believed again
    const bool is_old = session.content("a") == pages(1, 1);
    dropped_at_once |= is_old;
    must(session.open("a")->sync());  // nor does another descriptor's sync bring it back
    computer.cut_power();
    dropped_on_the_device |= !is_old && Session(computer).content("a") == pages(1, 1);
  }
  EXPECT_TRUE(dropped_at_once && dropped_on_the_device);
}

TEST(SimulatedComputer, MappedPagesMayOrMayNotReachTheDevice) {
  std::set<uint8_t> seen;
  for (uint64_t seed = 0; seed < 50; seed++) {
    SimulatedComputer computer(seed);
    Session session(computer);
    auto file = session.open("a");
    must(file->allocate(0, kPage));
    must(file->sync());
    must(session.root().sync());
    auto mapping = must(session.root().map(*file));
    mapping->bytes()[7] = std::byte(1);
    computer.cut_power();
    seen.insert(uint8_t(Session(computer).content("a")[7]));
  }
  EXPECT_EQ(seen, (std::set<uint8_t>{0, 1}));
}

TEST(SimulatedComputer, ACommitIsDurableWholeOrNotThere) {
  const auto put = [](LmdbWriter& writer) -> Result<void> {
    for (std::string_view key : {"a", "b"}) TRY(writer.put(as_bytes(key), as_bytes(key)));
    return {};
  };
  const auto count = [](Session& session) {
    uint64_t pairs = 0;
    must(session.environment()->view([&](LmdbReader& reader) -> Result<void> {
      TRY_ASSIGN(pairs, reader.count());
      return {};
    }));
    return pairs;
  };
  std::set<uint64_t> struck;
  for (uint64_t seed = 0; seed < 20; seed++) {
    SimulatedComputer computer(seed);
    Session session(computer);
    auto environment = session.environment();
    must(session.root().sync());
    computer.crash_at(1, Crash::kPowerFails, Moment::kMiddle);
    EXPECT_FAULT(environment->update(put), Fault::kIo);
    EXPECT_TRUE(computer.has_crashed());
    Session after(computer);
    struck.insert(count(after));
    must(after.environment()->update(put));
    computer.cut_power();
    Session last(computer);
    EXPECT_EQ(count(last), 2u);
  }
  EXPECT_EQ(struck, (std::set<uint64_t>{0, 2}));
}

TEST(SimulatedComputer, ACrashStrikesTheChangeItWasSetTo) {
  for (Moment moment : {Moment::kBefore, Moment::kMiddle, Moment::kAfter}) {
    SimulatedComputer computer(1);
    Session session(computer);
    auto file = session.open("a");
    computer.crash_at(2, Crash::kProcessDies, moment);
    EXPECT_OK(file->write(0, pages(1, 1)));
    EXPECT_FAULT(file->write(0, pages(1, 2)), Fault::kIo);
    EXPECT_FAULT(file->write(0, pages(1, 3)), Fault::kIo);
    EXPECT_EQ(Session(computer).content("a"), pages(1, moment == Moment::kAfter ? 2 : 1));
  }
}

TEST(SimulatedComputer, TheSameSeedHasTheSameOutcomeAndCopiesAreApart) {
  const auto play = [](SimulatedComputer& computer) {
    Session session(computer);
    auto file = session.open("a");
    must(file->write(0, random_bytes(1, 100'000)));
    must(session.root().sync());
    computer.cut_power();
    return Session(computer).content("a");
  };
  SimulatedComputer one(5), two(5);
  EXPECT_EQ(play(one), play(two));
  one.end_processes();
  auto copy = one.copy(6);
  const Bytes before = Session(one).content("a");
  EXPECT_EQ(Session(*copy).content("a"), before);
  must(Session(*copy).open("a")->write(0, pages(1, 1)));
  EXPECT_EQ(Session(one).content("a"), before);
}

}  // namespace
}  // namespace casdisk
