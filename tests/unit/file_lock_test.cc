#include "cas/os/file_lock.h"

#include <unistd.h>

#include <optional>

#include "tests/support/child_process.h"
#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

TEST(FileLock, ExcludesAnotherHolderAndNamesIt) {
  TemporaryDirectory directory;
  std::optional<Result<FileLock>> first = FileLock::acquire(directory / "lock", "disk web");
  ASSERT_OK(*first);
  auto second = FileLock::acquire(directory / "lock", "disk web");
  ASSERT_FAULT(second, Fault::kBusy);
  EXPECT_EQ(second.error().context, "disk web is busy: held by pid " + std::to_string(::getpid()));
  first.reset();
  EXPECT_OK(FileLock::acquire(directory / "lock", "disk web"));
}

TEST(FileLock, IsSharedByManyAndThenAcquiredByNobody) {
  TemporaryDirectory directory;
  std::optional<Result<FileLock>> first = FileLock::share(directory / "lock", "it");
  std::optional<Result<FileLock>> second = FileLock::share(directory / "lock", "it");
  ASSERT_OK(*first);
  ASSERT_OK(*second);
  EXPECT_EQ(FileLock::sharers(directory / "lock").value(),
            (std::vector<int64_t>{::getpid(), ::getpid()}));
  EXPECT_FAULT(FileLock::acquire(directory / "lock", "it"), Fault::kBusy);
  first.reset();
  EXPECT_FAULT(FileLock::acquire(directory / "lock", "it"), Fault::kBusy);
  second.reset();
  auto alone = FileLock::acquire(directory / "lock", "it");
  ASSERT_OK(alone);
  EXPECT_FAULT(FileLock::share(directory / "lock", "it"), Fault::kBusy);
  EXPECT_TRUE(FileLock::sharers(directory / "lock").value().empty());
  EXPECT_TRUE(FileLock::sharers(directory / "none").value().empty());
}

TEST(FileLock, MovesWithItsOwner) {
  TemporaryDirectory directory;
  auto first = FileLock::acquire(directory / "lock", "it");
  ASSERT_OK(first);
  std::optional<FileLock> owner(std::move(first).value());
  EXPECT_FAULT(FileLock::acquire(directory / "lock", "it"), Fault::kBusy);
  owner.reset();
  EXPECT_OK(FileLock::acquire(directory / "lock", "it"));
}

TEST(FileLock, DiesWithItsProcess) {
  TemporaryDirectory directory;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  ChildProcess child([&] {
    auto lock = FileLock::acquire(directory / "lock", "it");
    const char outcome = lock.ok() ? 'y' : 'n';
    if (::write(ready[1], &outcome, 1) != 1) return false;
    for (;;) ::pause();
  });
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  auto refused = FileLock::acquire(directory / "lock", "it");
  ASSERT_FAULT(refused, Fault::kBusy);
  EXPECT_EQ(refused.error().context, "it is busy: held by pid " + std::to_string(child.pid()));
  child.kill();
  EXPECT_OK(FileLock::acquire(directory / "lock", "it"));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(FileLock, NeedsItsDirectory) {
  TemporaryDirectory directory;
  EXPECT_FAULT(FileLock::acquire(directory / "absent/lock", "it"), Fault::kNotFound);
}

TEST(FileLock, HolderIsTheProcessThatHasIt) {
  TemporaryDirectory directory;
  auto holder = [&] {
    auto found = FileLock::holder(directory / "lock");
    EXPECT_OK(found);
    return found.ok() ? found.value() : std::nullopt;
  };
  EXPECT_FALSE(holder());  // no such file
  {
    auto lock = FileLock::acquire(directory / "lock", "it", "ask here");
    ASSERT_OK(lock);
    ASSERT_TRUE(holder());
    EXPECT_EQ(holder()->pid, int64_t(::getpid()));  // looking takes nothing
    EXPECT_EQ(holder()->note, "ask here");
    EXPECT_FAULT(FileLock::acquire(directory / "lock", "it"), Fault::kBusy);
  }
  EXPECT_FALSE(holder());  // the file still names us
}

}  // namespace
}  // namespace casdisk
