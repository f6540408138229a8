// What every FileSystem must do, whatever carries its bytes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "cas/os/posix_file_system.h"
#include "cas/os/ring.h"
#include "cas/os/ring_file_system.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"
#include "tests/support/simulated_computer.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

enum class Kind { kPosix, kUring, kFaulty, kSimulated };

class FileSystemContract : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() == Kind::kUring) {
      if (auto probed = Ring::probe(); !probed.ok()) GTEST_SKIP() << describe(probed.error());
      file_system_ = std::make_shared<RingFileSystem>();
    } else if (GetParam() == Kind::kPosix) {
      file_system_ = std::make_shared<PosixFileSystem>();
    } else if (GetParam() == Kind::kFaulty) {
      file_system_ = std::make_shared<FaultyFileSystem>(plain_, plan_);
    } else {
      file_system_ = computer_.start_process().file_system;
      ASSERT_OK(file_system_->open_directory("/").value()->make_directory("disk"));
    }
    auto directory = file_system_->open_directory(root());
    ASSERT_OK(directory);
    directory_ = std::move(directory).value();
  }

  bool is_of_host() const { return GetParam() != Kind::kSimulated; }
  std::string root() const { return is_of_host() ? temporary_.path() : "/disk"; }
  std::string path(const std::string& name) const { return root() + "/" + name; }

  std::unique_ptr<File> open(std::string_view name, OpenMode mode = OpenMode::kCreateAny) {
    auto file = directory_->open(name, mode);
    EXPECT_OK(file);
    return file.ok() ? std::move(file).value() : nullptr;
  }

  static Bytes read(const File& file, uint64_t offset, size_t length) {
    Bytes bytes(length, std::byte(0xee));
    EXPECT_OK(file.read(offset, bytes));
    return bytes;
  }

  TemporaryDirectory temporary_{TemporaryDirectory::Medium::kDisk};
  PosixFileSystem plain_;
  FaultPlan plan_;
  SimulatedComputer computer_{1};
  std::shared_ptr<FileSystem> file_system_;
  std::unique_ptr<Directory> directory_;
};

INSTANTIATE_TEST_SUITE_P(All, FileSystemContract,
                         testing::Values(Kind::kPosix, Kind::kUring, Kind::kFaulty,
                                         Kind::kSimulated),
                         [](const auto& test) -> std::string {
                           if (test.param == Kind::kPosix) return "Posix";
                           if (test.param == Kind::kSimulated) return "Simulated";
                           return test.param == Kind::kUring ? "Uring" : "Faulty";
                         });

TEST_P(FileSystemContract, ReadsWhatWasWritten) {
  auto file = open("a");
  const Bytes bytes = random_bytes(1, 100'000);
  ASSERT_OK(file->write(12345, bytes));
  EXPECT_EQ(file->size().value(), 112'345u);
  EXPECT_EQ(read(*file, 12345, bytes.size()), bytes);
  EXPECT_EQ(read(*file, 0, 12345), Bytes(12345));
  ASSERT_OK(file->sync());
  EXPECT_EQ(read(*open("a", OpenMode::kRead), 12345, bytes.size()), bytes);
}

TEST_P(FileSystemContract, WritingOutChangesNothing) {
  auto file = open("a");
  EXPECT_OK(file->write_out());  // nothing yet
  const Bytes bytes = random_bytes(1, 100'000);
  ASSERT_OK(file->write(5000, bytes));
  ASSERT_OK(file->write_out());
  ASSERT_OK(file->write_out());
  EXPECT_EQ(read(*file, 5000, bytes.size()), bytes);
  EXPECT_OK(file->sync());
}

TEST_P(FileSystemContract, EmptyTransfersDoNothing) {
  auto file = open("a");
  EXPECT_OK(file->write(1000, {}));
  EXPECT_OK(file->read(1000, {}));
  EXPECT_EQ(file->size().value(), 0u);
  EXPECT_OK(file_system_->read({}));
  EXPECT_OK(file_system_->write({}));
}

TEST_P(FileSystemContract, ShortFileIsDamage) {
  auto file = open("a");
  ASSERT_OK(file->write(0, Bytes(100)));
  Bytes into(101);
  auto done = file->read(0, into);
  ASSERT_FAULT(done, Fault::kDamaged);
  EXPECT_NE(done.error().context.find(path("a")), std::string::npos);
  EXPECT_NE(done.error().context.find("shorter than expected"), std::string::npos);
  EXPECT_FAULT(file->read(5000, into), Fault::kDamaged);
}

TEST_P(FileSystemContract, BatchesSpanFiles) {
  // More pieces than a ring has entries, over three files, lengths of all kinds.
  std::vector<std::unique_ptr<File>> files;
  for (std::string_view name : {"a", "b", "c"}) files.push_back(open(name));
  std::vector<Bytes> contents;
  std::vector<WritePiece> writes;
  for (size_t i = 0; i < 200; i++) contents.push_back(random_bytes(i, 1 + i * 97 % 9000));
  for (size_t i = 0; i < 200; i++) {
    writes.push_back({files[i % 3].get(), i / 3 * 10'000, contents[i]});
  }
  ASSERT_OK(file_system_->write(writes));
  std::vector<Bytes> back;
  std::vector<ReadPiece> reads;
  for (size_t i = 0; i < 200; i++) back.emplace_back(contents[i].size());
  for (size_t i = 0; i < 200; i++) reads.push_back({writes[i].file, writes[i].offset, back[i]});
  ASSERT_OK(file_system_->read(reads));
  EXPECT_EQ(back, contents);
  EXPECT_EQ(read(*files[1], 20'000, contents[7].size()), contents[7]);
}

TEST_P(FileSystemContract, BatchErrorNamesTheFile) {
  auto good = open("good");
  auto small = open("small");
  ASSERT_OK(good->write(0, Bytes(8192)));
  ASSERT_OK(small->write(0, Bytes(10)));
  Bytes first(4096);
  Bytes second(4096);
  Bytes third(4096);
  const ReadPiece pieces[] = {
      {good.get(), 0, first}, {small.get(), 0, second}, {good.get(), 4096, third}};
  auto done = file_system_->read(pieces);
  ASSERT_FAULT(done, Fault::kDamaged);
  EXPECT_NE(done.error().context.find("small: shorter than expected"), std::string::npos);
  EXPECT_OK(file_system_->read(std::span(pieces).first(1)));
}

TEST_P(FileSystemContract, WritingAReadOnlyFileFails) {
  open("a");
  auto file = open("a", OpenMode::kRead);
  const Bytes bytes(10);
  EXPECT_FALSE(file->write(0, bytes).ok());
  const WritePiece pieces[] = {{file.get(), 0, bytes}, {file.get(), 100, bytes}};
  EXPECT_FAULT(file_system_->write(pieces), Fault::kIo);
  EXPECT_EQ(file->size().value(), 0u);
}

TEST_P(FileSystemContract, BatchesFromManyThreads) {
  if (!is_of_host()) return;  // one thread at a time
  auto file = open("a");
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 20; i++) {
        const Bytes bytes = random_bytes(t * 100 + i, 8192);
        const uint64_t at = (t * 20 + i) * 8192;
        const WritePiece writes[] = {{file.get(), at, std::span(bytes).first(4096)},
                                     {file.get(), at + 4096, std::span(bytes).subspan(4096)}};
        EXPECT_OK(file_system_->write(writes));
        Bytes back(8192);
        const ReadPiece reads[] = {{file.get(), at, std::span(back).first(1000)},
                                   {file.get(), at + 1000, std::span(back).subspan(1000)}};
        EXPECT_OK(file_system_->read(reads));
        EXPECT_EQ(back, bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(FileSystemContract, OpenModes) {
  EXPECT_FAULT(directory_->open("a", OpenMode::kRead), Fault::kNotFound);
  EXPECT_FAULT(directory_->open("a", OpenMode::kWrite), Fault::kNotFound);
  EXPECT_OK(directory_->open("a", OpenMode::kCreate));
  EXPECT_FAULT(directory_->open("a", OpenMode::kCreate), Fault::kExists);
  EXPECT_OK(open("a", OpenMode::kCreateAny)->write(0, Bytes(5)));
  EXPECT_EQ(open("a", OpenMode::kCreateAny)->size().value(), 5u);  // nothing is cut off
  EXPECT_OK(open("a", OpenMode::kWrite)->write(0, Bytes(7)));
  EXPECT_EQ(open("a")->path(), path("a"));
  if (!is_of_host()) return;
  struct stat status;
  ASSERT_EQ(::stat(path("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_P(FileSystemContract, NamesAreOneComponent) {
  for (std::string_view name : {"", ".", "..", "../a", "x/y", "/etc/passwd"}) {
    EXPECT_FAULT(directory_->open(name, OpenMode::kCreateAny), Fault::kInvalid) << name;
    EXPECT_FAULT(directory_->make_directory(name), Fault::kInvalid) << name;
    EXPECT_FAULT(directory_->open_directory(name), Fault::kInvalid) << name;
    EXPECT_FAULT(directory_->remove(name), Fault::kInvalid) << name;
    EXPECT_FAULT(directory_->remove_directory(name), Fault::kInvalid) << name;
    EXPECT_FAULT(directory_->rename("a", name), Fault::kInvalid) << name;
    EXPECT_FAULT(directory_->rename(name, "a"), Fault::kInvalid) << name;
  }
  EXPECT_FAULT(directory_->open(std::string_view("a\0b", 3), OpenMode::kCreateAny),
               Fault::kInvalid);
}

TEST_P(FileSystemContract, Directories) {
  ASSERT_OK(directory_->make_directory("sub"));
  EXPECT_OK(directory_->make_directory("sub"));
  auto sub = directory_->open_directory("sub");
  ASSERT_OK(sub);
  EXPECT_EQ(sub.value()->path(), path("sub"));
  EXPECT_OK(sub.value()->open("a", OpenMode::kCreate));
  EXPECT_FALSE(directory_->remove_directory("sub").ok());  // not empty
  ASSERT_OK(sub.value()->rename("a", "b"));
  EXPECT_FAULT(sub.value()->rename("a", "b"), Fault::kNotFound);
  ASSERT_OK(sub.value()->open("c", OpenMode::kCreate));
  ASSERT_OK(sub.value()->sync());
  for (int again = 0; again < 2; again++) {
    auto names = sub.value()->list();
    ASSERT_OK(names);
    std::ranges::sort(names.value());
    EXPECT_EQ(names.value(), (std::vector<std::string>{"b", "c"}));
  }
  EXPECT_OK(sub.value()->remove("b"));
  EXPECT_FAULT(sub.value()->remove("b"), Fault::kNotFound);
  EXPECT_OK(sub.value()->remove("c"));
  EXPECT_OK(directory_->remove_directory("sub"));
  EXPECT_FAULT(directory_->open_directory("sub"), Fault::kNotFound);
  EXPECT_FAULT(file_system_->open_directory(path("sub")), Fault::kNotFound);
  open("file");
  EXPECT_FAULT(directory_->make_directory("file"), Fault::kExists);
}

TEST_P(FileSystemContract, RenameReplaces) {
  ASSERT_OK(open("new")->write(0, Bytes(3)));
  ASSERT_OK(open("old")->write(0, Bytes(9)));
  ASSERT_OK(directory_->rename("new", "old"));
  EXPECT_EQ(open("old")->size().value(), 3u);
  EXPECT_FAULT(directory_->open("new", OpenMode::kRead), Fault::kNotFound);
}

TEST_P(FileSystemContract, RemovedFilesStayReadableWhileOpen) {
  auto file = open("a");
  ASSERT_OK(file->write(0, random_bytes(1, 100)));
  ASSERT_OK(directory_->remove("a"));
  EXPECT_EQ(read(*file, 0, 100), random_bytes(1, 100));
}

TEST_P(FileSystemContract, HolesReadAsZerosAndTakeNoSpace) {
  auto file = open("a");
  const Bytes bytes = random_bytes(1, 1 << 20);
  ASSERT_OK(file->write(0, bytes));
  ASSERT_OK(file->sync());
  const uint64_t before = file->allocated_bytes().value();
  EXPECT_GE(before, uint64_t(1) << 20);
  auto punched = file->punch(256 << 10, 512 << 10);
  if (!punched.ok()) {
    ASSERT_FAULT(punched, Fault::kUnsupported);
    GTEST_SKIP() << describe(punched.error());
  }
  EXPECT_EQ(read(*file, 256 << 10, 512 << 10), Bytes(512 << 10));
  EXPECT_EQ(read(*file, 0, 256 << 10), Bytes(bytes.begin(), bytes.begin() + (256 << 10)));
  EXPECT_EQ(file->size().value(), uint64_t(1) << 20);
  EXPECT_EQ(file->allocated_bytes().value(), before - (512 << 10));
}

TEST_P(FileSystemContract, NextDataSkipsHoles) {
  auto file = open("a");
  ASSERT_OK(file->resize(4 << 20));
  ASSERT_OK(file->write(1 << 20, random_bytes(1, 64 << 10)));
  ASSERT_OK(file->write(3 << 20, random_bytes(2, 64 << 10)));
  uint64_t found_bytes = 0;
  bool found_first = false;
  for (uint64_t at = 0;;) {
    auto range = file->next_data(at);
    ASSERT_OK(range);
    if (range.value().length == 0) break;
    EXPECT_GE(range.value().offset, at);
    found_first |= range.value().offset <= 1 << 20 &&
                   range.value().offset + range.value().length >= (1 << 20) + (64 << 10);
    found_bytes += range.value().length;
    at = range.value().offset + range.value().length;
  }
  EXPECT_TRUE(found_first);
  EXPECT_GE(found_bytes, uint64_t(128) << 10);
  EXPECT_EQ(file->next_data(4 << 20).value().length, 0u);
  EXPECT_EQ(file->next_data(40 << 20).value().length, 0u);
}

TEST_P(FileSystemContract, AllocateGrowsAndKeepsContents) {
  auto file = open("a");
  const Bytes bytes = random_bytes(1, 10'000);
  ASSERT_OK(file->write(0, bytes));
  ASSERT_OK(file->allocate(5000, 1 << 20));
  EXPECT_EQ(file->size().value(), 5000u + (1 << 20));
  EXPECT_GE(file->allocated_bytes().value(), 5000u + (1 << 20));
  EXPECT_EQ(read(*file, 0, 10'000), bytes);
  EXPECT_EQ(read(*file, 10'000, 100'000), Bytes(100'000));
  EXPECT_OK(file->allocate(0, 100));  // never shrinks
  EXPECT_EQ(file->size().value(), 5000u + (1 << 20));
  EXPECT_OK(file->allocate(0, 0));
}

TEST_P(FileSystemContract, ResizeCutsAndGrows) {
  auto file = open("a");
  ASSERT_OK(file->write(0, random_bytes(1, 10'000)));
  ASSERT_OK(file->resize(100));
  ASSERT_OK(file->resize(200));
  EXPECT_EQ(read(*file, 100, 100), Bytes(100));
  EXPECT_EQ(file->size().value(), 200u);
}

TEST_P(FileSystemContract, MappingIsSharedWithWhoeverOpensTheFile) {
  auto file = open("a");
  EXPECT_FAULT(directory_->map(*file), Fault::kInvalid);  // empty
  ASSERT_OK(file->allocate(0, 10'000));
  auto mapping = directory_->map(*file);
  ASSERT_OK(mapping);
  ASSERT_EQ(mapping.value()->bytes().size(), 10'000u);
  mapping.value()->bytes()[5000] = std::byte(42);
  EXPECT_EQ(read(*open("a", OpenMode::kRead), 5000, 1)[0], std::byte(42));
  ASSERT_OK(open("a", OpenMode::kWrite)->write(6000, Bytes(1, std::byte(43))));
  EXPECT_EQ(mapping.value()->bytes()[6000], std::byte(43));
  file.reset();
  mapping.value()->bytes()[7000] = std::byte(44);  // outlives the file it was made of
  mapping.value().reset();
  EXPECT_EQ(read(*open("a"), 7000, 1)[0], std::byte(44));
}

TEST_P(FileSystemContract, IdentityPinsAFile) {
  auto file = open("a");
  ASSERT_OK(file->write(0, Bytes(100)));
  const FileIdentity before = file->identity().value();
  EXPECT_EQ(before.size_bytes, 100u);
  EXPECT_EQ(file_system_->open_foreign(path("a")).value()->identity().value(), before);
  EXPECT_NE(open("b")->identity().value(), before);
  ASSERT_OK(file->write(0, Bytes(101)));
  EXPECT_NE(file->identity().value(), before);
}

TEST_P(FileSystemContract, ForeignFiles) {
  ASSERT_OK(open("a")->write(0, random_bytes(1, 100)));
  auto foreign = file_system_->open_foreign(path("a"));
  ASSERT_OK(foreign);
  EXPECT_EQ(read(*foreign.value(), 0, 100), random_bytes(1, 100));
  EXPECT_FALSE(foreign.value()->write(0, Bytes(1)).ok());
  if (const int descriptor = foreign.value()->descriptor(); descriptor >= 0) {
    EXPECT_FALSE(::fcntl(descriptor, F_GETFL) & O_NONBLOCK);  // a ring would answer EAGAIN
  }
  Bytes first(50);
  Bytes second(50);
  const ReadPiece pieces[] = {{foreign.value().get(), 0, first},
                              {foreign.value().get(), 50, second}};
  EXPECT_OK(file_system_->read(pieces));
  EXPECT_FAULT(file_system_->open_foreign(path("absent")), Fault::kNotFound);
  EXPECT_FAULT(file_system_->open_foreign(root()), Fault::kInvalid);
  if (!is_of_host()) return;
  EXPECT_FAULT(file_system_->open_foreign("/dev/null"), Fault::kInvalid);
  ASSERT_EQ(::mkfifo((path("fifo")).c_str(), 0600), 0);
  EXPECT_FAULT(file_system_->open_foreign(path("fifo")), Fault::kInvalid);  // at once
}

TEST_P(FileSystemContract, CanonicalPathsAreOfWhatExists) {
  open("a");
  EXPECT_EQ(file_system_->canonical(path("a")).value(), path("a"));
  EXPECT_FAULT(file_system_->canonical(path("absent")), Fault::kNotFound);
  if (!is_of_host()) return;
  ASSERT_EQ(::symlink(path("a").c_str(), path("link").c_str()), 0);
  EXPECT_EQ(file_system_->canonical(path("link")).value(), path("a"));
}

TEST_P(FileSystemContract, DescriptorsAreNotInherited) {
  auto file = open("a");
  if (file->descriptor() < 0) return;  // nothing to inherit
  EXPECT_TRUE(::fcntl(file->descriptor(), F_GETFD) & FD_CLOEXEC);
  auto foreign = file_system_->open_foreign(path("a"));
  ASSERT_OK(foreign);
  EXPECT_TRUE(::fcntl(foreign.value()->descriptor(), F_GETFD) & FD_CLOEXEC);
}

TEST_P(FileSystemContract, BootMountAndFreeSpace) {
  EXPECT_GE(file_system_->boot_id().size(), 32u);
  EXPECT_TRUE(!is_of_host() || file_system_->boot_id() == PosixFileSystem().boot_id());
  auto mount = directory_->mount_id();
  ASSERT_OK(mount);
  ASSERT_OK(directory_->make_directory("sub"));
  EXPECT_EQ(directory_->open_directory("sub").value()->mount_id().value(), mount.value());
  EXPECT_TRUE(!is_of_host() ||
              file_system_->open_directory("/proc").value()->mount_id().value() != mount.value());
  EXPECT_GT(directory_->free_bytes().value(), 0u);
  EXPECT_FALSE(file_system_->name().empty());
}

}  // namespace
}  // namespace casdisk
