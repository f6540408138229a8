#include "nbd/kv/record_reader.h"

#include <fstream>

#include "cas/kv/memory_kv.h"
#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

using std::string;

class RecordReaderTest : public testing::Test {
 protected:
  static std::unique_ptr<KvStore> small() {
    return std::make_unique<KvStore>(std::make_unique<MemoryKv>(system_kv_clock),
                                     KvLimits{.key_bytes = 4, .value_bytes = 8, .is_text = true},
                                     KvCapabilities(KvCapability::kLoad),
                                     KvStoreSettings{.name = "small:"});
  }
  Result<std::vector<KvRecord>> read(const string& text, RecordForm form = RecordForm::kText,
                                     Duplicates duplicates = Duplicates::kRefused,
                                     size_t most_bytes = kMaxLoadBytes) {
    std::ofstream(path_, std::ios::binary) << text;
    auto reader = RecordReader::open(path_, form, *store_);
    if (!reader.ok()) return std::move(reader.error());
    return read_records(reader.value(), duplicates, most_bytes);
  }
  // What is said, without the file's name.
  string refusal(Result<std::vector<KvRecord>> records, Fault fault) {
    EXPECT_FAULT(records, fault);
    if (records.ok()) return "none";
    EXPECT_TRUE(records.error().context.starts_with(path_ + ":")) << records.error().context;
    return records.error().context.substr(path_.size() + 1);
  }

  TemporaryDirectory directory_;
  const string path_ = directory_ / "records";
  std::unique_ptr<KvStore> store_ = small();
};

TEST_F(RecordReaderTest, RecordsInTheirOrder) {
  auto records = read("b=1\n\n   \t\n\r\na=2\r\nc=");
  ASSERT_OK(records);
  ASSERT_EQ(records.value().size(), 3u);
  EXPECT_EQ(records.value()[0].key, "b");
  EXPECT_EQ(records.value()[1].value.bytes, "2");
  EXPECT_EQ(records.value()[2].key, "c");
  auto json = read("{\"key\":\"b\",\"value\":\"1\"}\n\n{\"key\":\"a\",\"value_base64\":\"MQ==\"}",
                   RecordForm::kJson);
  ASSERT_OK(json);
  ASSERT_EQ(json.value().size(), 2u);
  EXPECT_EQ(json.value()[1].value.bytes, "1");
  auto none = read("\n");
  ASSERT_OK(none);
  EXPECT_TRUE(none.value().empty());
}

TEST_F(RecordReaderTest, ErrorsNameTheLine) {
  EXPECT_EQ(refusal(read("a=1\n\nb\n"), Fault::kInvalid), "3: no '=': a record is KEY=VALUE");
  EXPECT_EQ(refusal(read("{}\n", RecordForm::kJson), Fault::kInvalid),
            "1: either \"key\" or \"key_base64\" is wanted");
  EXPECT_EQ(refusal(read("=1\n"), Fault::kInvalid),
            "1: small:: an empty key; a key has at least one byte");
  EXPECT_EQ(refusal(read("a=1\n12345=1\n"), Fault::kTooLarge),
            "2: small:: key \"12345\": a key's bytes of 5, and 4 is the most");
  EXPECT_EQ(refusal(read("a=1\nb=123456789\n"), Fault::kTooLarge),
            "2: small:: key \"b\": a value's bytes of 9, and 8 is the most");
  EXPECT_NE(refusal(read("a=\\x00\n"), Fault::kInvalid).find("1: small:: key \"a\": a NUL"),
            string::npos);
  EXPECT_NE(
      refusal(read("\\expires:5 a=1\n"), Fault::kUnsupported).find("1: small:: a record that"),
      string::npos);
  EXPECT_NE(refusal(read("a=" + string(1000, 'x')), Fault::kTooLarge).find("1: a line longer"),
            string::npos);
}

TEST_F(RecordReaderTest, WhatExpiresBeyondAllNumbersNamesItsLine) {
  store_ = KvStore::over(std::make_unique<MemoryKv>(system_kv_clock), {.name = "memory:"});
  const string latest = std::to_string(kMaxKvExpiryMs);
  EXPECT_OK(read("\\expires:" + latest + " a=1\n"));
  const string said =
      refusal(read("a=1\n\\expires:" + std::to_string(UINT64_MAX) + " b=2\n"), Fault::kInvalid);
  EXPECT_EQ(said.find("2: memory:: a record that expires at"), 0u) << said;
  EXPECT_NE(said.find(latest), string::npos) << said;
}

TEST_F(RecordReaderTest, AKeyTwiceNamesBothLines) {
  const string text = "b=1\na=1\n\nb=2\nb=3\n";
  EXPECT_EQ(
      refusal(read(text), Fault::kInvalid),
      "4: key \"b\" is in line 1 already, and this kind of store has one record for each key");
  auto records = read(text, RecordForm::kText, Duplicates::kKept);
  ASSERT_OK(records);
  ASSERT_EQ(records.value().size(), 4u);
  EXPECT_EQ(records.value()[3].value.bytes, "3");
}

TEST_F(RecordReaderTest, TheLargestRecordHasRoomInALine) {
  const string bytes(4, '\x01'), value(8, '\x01');
  string line;
  for (int i = 0; i < 4; i++) line += "\\x01";
  line += "=";
  for (int i = 0; i < 8; i++) line += "\\x01";
  auto records = read(line);
  ASSERT_OK(records);
  EXPECT_EQ(records.value()[0].key, bytes);
  EXPECT_EQ(records.value()[0].value.bytes, value);
}

TEST_F(RecordReaderTest, WhatIsHeldHasABound) {
  string text;
  for (int i = 0; i < 100; i++) text += std::to_string(i) + "=1\n";
  ASSERT_OK(read(text));
  const string said =
      refusal(read(text, RecordForm::kText, Duplicates::kRefused, 10'000), Fault::kTooLarge);
  EXPECT_NE(said.find("copy --merge"), string::npos) << said;
}

}  // namespace
}  // namespace casdisk
