#include "nbd/kv/record_json.h"

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

using std::string;

string json_of(const KvRecord& record, JsonOf what = JsonOf::kRecord) {
  return line_of(record_json(record, what));
}

string refusal(std::string_view line) {
  auto decoded = decode_record_json(line);
  EXPECT_FAULT(decoded, Fault::kInvalid);
  return decoded.ok() ? "none" : decoded.error().context;
}

TEST(RecordJson, TextIsTextAndBytesAreBase64) {
  EXPECT_EQ(json_of({"a", {"b", 7, 5}}),
            R"({"key":"a","value":"b","version":7,"expires_at_ms":5})");
  EXPECT_EQ(json_of({"\xff", {string("\0\xfe", 2)}}),
            R"({"key_base64":"/w==","value_base64":"AP4=","version":null,"expires_at_ms":null})");
  EXPECT_EQ(
      json_of({string("\0", 1), {"\u00e4\n"}}),
      "{\"key\":\"\\u0000\",\"value\":\"\u00e4\\n\",\"version\":null,\"expires_at_ms\":null}");
  EXPECT_EQ(json_of({"a", {"b", 7, 0}}, JsonOf::kKey),
            R"({"key":"a","version":7,"expires_at_ms":null})");
}

TEST(RecordJson, WhatWasWrittenIsRead) {
  string all_bytes;
  for (int byte = 0; byte < 256; byte++) all_bytes += char(byte);
  for (const KvRecord& each :
       {KvRecord{"a", {"b", 7, 5}}, KvRecord{"", {""}}, KvRecord{all_bytes, {all_bytes}},
        KvRecord{"\"\\\u2028", {string(3, '\0'), 1, UINT64_MAX}}}) {
    auto again = decode_record_json(json_of(each));
    ASSERT_OK(again);
    EXPECT_EQ(again.value().key, each.key);
    EXPECT_EQ(again.value().value.bytes, each.value.bytes);
    EXPECT_EQ(again.value().value.expires_at_ms, each.value.expires_at_ms);
    EXPECT_EQ(again.value().value.version, 0u);  // the next store gives it one
  }
}

TEST(RecordJson, OtherFieldsAreIgnored) {
  auto record = decode_record_json(
      R"( {"note": {"key": "x"}, "key": "a", "value": "b", "more": [[1], {"value": 2}], "version": "x"} )");
  ASSERT_OK(record);
  EXPECT_EQ(record.value().key, "a");
  EXPECT_EQ(record.value().value.bytes, "b");
}

TEST(RecordJson, WhatIsNoRecordIsRefused) {
  for (const char* line : {"", "a=b", "[]", "[{\"key\":\"a\",\"value\":\"b\"}]", "\"a\"", "{",
                           R"({"key":"a","value":"b"} x)", "{\"key\":\"\xff\",\"value\":\"\"}"}) {
    EXPECT_EQ(refusal(line), "not a JSON object") << line;
  }
  EXPECT_EQ(refusal(R"({"key":"a"})"), R"(either "value" or "value_base64" is wanted)");
  EXPECT_EQ(refusal(R"({"key":"a","value":null})"),
            R"(either "value" or "value_base64" is wanted)");
  for (const char* line :
       {R"({"key":"a","value":["secret"]})", R"({"key":"a","value":{"secret":1}})"}) {
    EXPECT_NE(refusal(line).find("\"value\""), string::npos) << refusal(line);
    EXPECT_EQ(refusal(line).find("secret"), string::npos) << refusal(line);
  }
  EXPECT_EQ(refusal(R"({"key":"a","key_base64":"YQ==","value":"b"})"),
            R"(either "key" or "key_base64" is wanted)");
  EXPECT_EQ(refusal(R"({"key_base64":"secret","value":"b"})"), R"("key_base64" is not base64)");
  EXPECT_EQ(refusal(R"({"key":1,"value":"secret"})"), R"("key": a string is wanted)");
  EXPECT_EQ(refusal(R"({"key":"a","value":"secret","expires_at_ms":-1})"),
            R"("expires_at_ms": a whole number is wanted, zero or more)");
}

}  // namespace
}  // namespace casdisk
