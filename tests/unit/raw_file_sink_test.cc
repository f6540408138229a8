#include "nbd/image/raw_file_sink.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "cas/os/file_system.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

class RawFileSinkTest : public testing::Test {
 protected:
  std::vector<std::string> names() {
    return must(must(file_system_->open_directory(directory_.path()))->list());
  }
  Result<std::unique_ptr<RawFileSink>> create(const std::string& name, IfExists if_exists) {
    return RawFileSink::create(*file_system_, directory_ / name, 3 * kBlockBytes, if_exists);
  }
  std::string content(const std::string& name) {
    std::ifstream file(directory_ / name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  TemporaryDirectory directory_;
  std::unique_ptr<FileSystem> file_system_ = must(make_file_system(IoChoice::kPosix, nullptr));
};

TEST_F(RawFileSinkTest, HasItsNameOnlyWhenItIsWhole) {
  auto sink = must(create("image", IfExists::kFail));
  must(sink->write(kBlockBytes, as_bytes("abc")));
  must(sink->zero(0, kBlockBytes));
  ASSERT_EQ(names().size(), 1u);
  EXPECT_TRUE(names()[0].starts_with("image.partial-")) << names()[0];
  must(sink->finish());
  EXPECT_EQ(names(), std::vector<std::string>{"image"});
  sink.reset();
  std::string bytes = content("image");
  EXPECT_EQ(bytes.size(), 3 * kBlockBytes);
  EXPECT_EQ(bytes.substr(kBlockBytes, 3), "abc");
}

TEST_F(RawFileSinkTest, LeavesNothingUnlessFinished) {
  must(must(create("image", IfExists::kFail))->write(0, as_bytes("abc")));
  EXPECT_TRUE(names().empty());
}

TEST_F(RawFileSinkTest, ReplacesOnlyWhenTold) {
  std::ofstream(directory_ / "image") << "old";
  EXPECT_FAULT(create("image", IfExists::kFail), Fault::kExists);
  {
    auto unfinished = must(create("image", IfExists::kReplace));
    EXPECT_EQ(content("image"), "old");
  }
  EXPECT_EQ(content("image"), "old");
  must(must(create("image", IfExists::kReplace))->finish());
  EXPECT_EQ(content("image"), std::string(3 * kBlockBytes, '\0'));
}

TEST_F(RawFileSinkTest, ReplacesWhatALinkPointsTo) {
  std::ofstream(directory_ / "target") << "old";
  ASSERT_EQ(::symlink("target", (directory_ / "image").c_str()), 0);
  must(must(create("image", IfExists::kReplace))->finish());
  EXPECT_EQ(content("target").size(), 3 * kBlockBytes);
  struct stat status;
  ASSERT_EQ(::lstat((directory_ / "image").c_str(), &status), 0);
  EXPECT_TRUE(S_ISLNK(status.st_mode));
}

TEST_F(RawFileSinkTest, NamesTheDirectoryThatIsNotThere) {
  auto sink = create("no/image", IfExists::kFail);
  ASSERT_FAULT(sink, Fault::kNotFound);
  EXPECT_NE(sink.error().context.find("/no"), std::string::npos);
}

}  // namespace
}  // namespace casdisk
