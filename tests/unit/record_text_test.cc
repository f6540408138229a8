#include "nbd/kv/record_text.h"

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

using std::string;

KvRecord record(string key, string value, uint64_t expires_at_ms = 0) {
  return {std::move(key), {std::move(value), 0, expires_at_ms}};
}

string line_of(const KvRecord& record) { return encode_record_line(record); }

// Of a line that is read: key, value and expiry, as text.
string read(std::string_view line) {
  auto decoded = decode_record_line(line);
  if (!decoded.ok()) return "refused: " + decoded.error().context;
  const KvValue& value = decoded.value().value;
  return decoded.value().key + "|" + value.bytes +
         (value.expires_at_ms == 0 ? "" : "|" + std::to_string(value.expires_at_ms));
}

TEST(RecordText, ALineIsWhatAPersonWouldWrite) {
  EXPECT_EQ(line_of(record("key", "value")), "key=value\n");
  EXPECT_EQ(line_of(record("a/b c", "x=1 ; y=2")), "a/b c=x=1 ; y=2\n");
  EXPECT_EQ(line_of(record("k", "")), "k=\n");
  EXPECT_EQ(line_of(record("gr\u00fc\u00dfe", "\u65e5\u672c")), "gr\u00fc\u00dfe=\u65e5\u672c\n");
  EXPECT_EQ(line_of(record("k", "v", 1795227723123)), "\\expires:1795227723123 k=v\n");
}

TEST(RecordText, WhatWouldBreakALineIsEscaped) {
  EXPECT_EQ(line_of(record("a=b", "c=d")), "a\\x3db=c=d\n");
  EXPECT_EQ(line_of(record("a\nb", "\r\n\t\x7f")), "a\\x0ab=\\x0d\\x0a\\x09\\x7f\n");
  EXPECT_EQ(line_of(record("a\\b", "\\expires:1 ")), "a\\\\b=\\\\expires:1 \n");
  EXPECT_EQ(line_of(record(string("\0", 1), string("\0x", 2))), "\\x00=\\x00x\n");
  // One byte that is not UTF-8, and the text is bytes; another text beside it is not concerned.
  EXPECT_EQ(line_of(record("\u00e9\xff", "\u00e9")), "\\xc3\\xa9\\xff=\u00e9\n");
  // What controls terminals, in UTF-8 too; a no-break space does not.
  EXPECT_EQ(line_of(record("k", "\u009b31m\u00a0")), "k=\\xc2\\x9b31m\u00a0\n");
}

TEST(RecordText, WhatWasWrittenIsRead) {
  string all_bytes;
  for (int byte = 0; byte < 256; byte++) all_bytes += char(byte);
  for (const KvRecord& each :
       {record("k", "v"), record("", ""), record(all_bytes, all_bytes), record("=", "="),
        record("\\", "\\\\x41"), record("\\expires:5 k", "v"), record("k", "v", UINT64_MAX)}) {
    string line = line_of(each);
    ASSERT_TRUE(line.ends_with('\n'));
    line.pop_back();
    EXPECT_EQ(line.find_first_of(string("\0\n\r", 3)), line.npos);
    auto again = decode_record_line(line);
    ASSERT_OK(again);
    EXPECT_EQ(again.value().key, each.key);
    EXPECT_EQ(again.value().value.bytes, each.value.bytes);
    EXPECT_EQ(again.value().value.expires_at_ms, each.value.expires_at_ms);
  }
}

TEST(RecordText, WhatPeopleWriteIsRead) {
  EXPECT_EQ(read("a=b"), "a|b");
  EXPECT_EQ(read(" a = b "), " a | b ");
  EXPECT_EQ(read("a\tb=\xff"), "a\tb|\xff");
  EXPECT_EQ(read("\\x3D\\xfF=\\\\n"), "=\xff|\\n");
  EXPECT_EQ(read("\\expires:12 a=b"), "a|b|12");
  EXPECT_EQ(read("\\expires:12  a=b"), " a|b|12");
}

TEST(RecordText, WhatIsNoRecordIsRefused) {
  EXPECT_EQ(read("a"), "refused: no '=': a record is KEY=VALUE");
  EXPECT_NE(read("C:\\temp=1").find("refused: the key: what follows the backslash at byte 3"),
            string::npos);
  for (const char* line : {"a=\\", "a=\\x", "a=\\x4", "a=\\xg0", "a=\\n", "\\=a"}) {
    EXPECT_TRUE(read(line).starts_with("refused: the ")) << read(line);
  }
  for (const char* line :
       {"\\expires:a=b", "\\expires:1a=b", "\\expires:1", "\\expires:0 a=b", "\\expires: a=b",
        "\\expires:-1 a=b", "\\expires:99999999999999999999 a=b"}) {
    EXPECT_TRUE(read(line).starts_with("refused: behind \\expires:")) << read(line);
  }
}

TEST(RecordText, NoErrorTellsAValue) {
  for (const char* line : {"secret", "k=secret\\", "\\expires:secret k=secret"}) {
    EXPECT_EQ(read(line).find("secret"), string::npos) << read(line);
  }
}

}  // namespace
}  // namespace casdisk
