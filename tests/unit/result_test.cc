#include "cas/os/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace casdisk {
namespace {

Result<int> parse_digit(char c) {
  if (c < '0' || c > '9') return Error{Fault::kInvalid, 0, std::string("no digit: ") + c};
  return c - '0';
}

Result<int> sum(char a, char b) {
  TRY_ASSIGN(int first, parse_digit(a));
  TRY_ASSIGN(int second, parse_digit(b));
  return first + second;
}

Result<void> check_both(char a, char b) {
  TRY(parse_digit(a));
  TRY(parse_digit(b));
  return {};
}

TEST(Result, PassesValuesAndErrorsOn) {
  EXPECT_EQ(sum('3', '4').value(), 7);
  EXPECT_EQ(sum('3', 'x').error().context, "no digit: x");
  EXPECT_EQ(sum('y', 'x').error().context, "no digit: y");
  EXPECT_TRUE(check_both('1', '2').ok());
  EXPECT_EQ(check_both('1', 'z').error().fault, Fault::kInvalid);
}

TEST(Result, CarriesWhatCanOnlyMove) {
  Result<std::unique_ptr<int>> made = std::make_unique<int>(5);
  std::unique_ptr<int> taken = std::move(made).value();
  EXPECT_EQ(*taken, 5);
}

TEST(Result, FaultOfAnErrno) {
  EXPECT_EQ(os_error(ENOENT, "").fault, Fault::kNotFound);
  EXPECT_EQ(os_error(EEXIST, "").fault, Fault::kExists);
  EXPECT_EQ(os_error(ENOSPC, "").fault, Fault::kNoSpace);
  EXPECT_EQ(os_error(EDQUOT, "").fault, Fault::kNoSpace);
  EXPECT_EQ(os_error(EOPNOTSUPP, "").fault, Fault::kUnsupported);
  EXPECT_EQ(os_error(EIO, "").fault, Fault::kIo);
  EXPECT_EQ(os_error(EACCES, "").fault, Fault::kIo);
}

TEST(Result, DescribesWithAndWithoutErrno) {
  EXPECT_EQ(describe(os_error(EPIPE, "pack 7: read")), "pack 7: read: Broken pipe");
  EXPECT_EQ(
      describe(os_error(EROFS, "pack 7: write")),
      "pack 7: write: Read-only file system; mount the file system so that it can be written to");
  EXPECT_EQ(describe(Error{Fault::kInvalid, 0, "no such codec"}), "no such codec");
}

TEST(ResultDeathTest, CheckAborts) {
  EXPECT_DEATH(CHECK(1 + 1 == 3), "CHECK failed: 1 \\+ 1 == 3");
}

}  // namespace
}  // namespace casdisk
