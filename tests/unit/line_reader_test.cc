#include "nbd/kv/line_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

using std::string;
using Lines = std::vector<string>;

class LineReaderTest : public testing::Test {
 protected:
  Lines read(const string& text, size_t most_bytes = 100) {
    std::ofstream(path_, std::ios::binary) << text;
    auto reader = LineReader::open(path_, most_bytes);
    EXPECT_OK(reader);
    Lines lines;
    for (;;) {
      auto line = reader.value().next();
      if (!line.ok()) lines.push_back("! " + describe(line.error()));
      if (!line.ok() || !line.value()) return lines;
      lines.emplace_back(*line.value());
      EXPECT_EQ(reader.value().number(), lines.size());
    }
  }

  TemporaryDirectory directory_;
  const string path_ = directory_ / "lines";
};

TEST_F(LineReaderTest, LinesAndTheirEnds) {
  EXPECT_EQ(read(""), Lines());
  EXPECT_EQ(read("\n"), Lines{""});
  EXPECT_EQ(read("a\n\nb\n"), (Lines{"a", "", "b"}));
  EXPECT_EQ(read("a\r\nb\rc\r\n"), (Lines{"a", "b\rc"}));
  EXPECT_EQ(read("a\nb"), (Lines{"a", "b"}));
  EXPECT_EQ(read(string("\0\n\xff", 3)), (Lines{string(1, '\0'), "\xff"}));
}

TEST_F(LineReaderTest, LinesThatAreReadInPieces) {
  const string long_line(300'000, 'x');
  EXPECT_EQ(read(long_line + "\n" + long_line + "y\nz\n", 400'000),
            (Lines{long_line, long_line + "y", "z"}));
  string text;
  for (int i = 0; i < 50'000; i++) text += std::to_string(i) + "\n";
  const Lines lines = read(text);
  ASSERT_EQ(lines.size(), 50'000u);
  EXPECT_EQ(lines[49'999], "49999");
}

TEST_F(LineReaderTest, ALineHasABound) {
  EXPECT_EQ(read("12345\n", 5), Lines{"12345"});
  EXPECT_EQ(read("12345\r\n", 5), Lines{"12345"});
  const string refused =
      "! " + path_ + ":2: a line longer than 5 bytes, which no record takes here";
  EXPECT_EQ(read("1\n123456\n", 5), (Lines{"1", refused}));
  EXPECT_EQ(read("1\n123456", 5), (Lines{"1", refused}));
  EXPECT_EQ(read("1\n" + string(1 << 20, 'x'), 5), (Lines{"1", refused}));
}

TEST_F(LineReaderTest, WhatCannotBeReadSaysSo) {
  EXPECT_FAULT(LineReader::open(directory_ / "none", 10), Fault::kNotFound);
  auto folder = LineReader::open(directory_.path(), 10);
  ASSERT_OK(folder);
  auto line = folder.value().next();
  ASSERT_FAULT(line, Fault::kIo);
  EXPECT_NE(line.error().context.find(directory_.path()), string::npos);
}

}  // namespace
}  // namespace casdisk
