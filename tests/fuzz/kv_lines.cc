// Records of key-value stores as people write and move them: lines of text and of JSON, times. Any
// bytes are a record, which is written and read again as the same, or are refused.
#include "nbd/duration_text.h"
#include "nbd/kv/record_json.h"
#include "nbd/kv/record_text.h"
#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

void check_same(const Result<KvRecord>& read, const KvRecord& record) {
  CHECK(read.ok());
  CHECK(read.value().key == record.key);
  CHECK(read.value().value.bytes == record.value.bytes);
  CHECK(read.value().value.expires_at_ms == record.value.expires_at_ms);
}

// Of any record: one line of either form, which is read as the record.
void check_record(const KvRecord& record) {
  std::string line = encode_record_line(record);
  CHECK(line.back() == '\n');
  line.pop_back();
  CHECK(line.find_first_of(std::string_view("\0\n\r\x1b", 4)) == line.npos);
  CHECK(line.find('=') != line.npos);
  CHECK(line.size() <=
        kMaxLineHeadBytes + kMaxEscapedBytes * (record.key.size() + record.value.bytes.size()));
  check_same(decode_record_line(line), record);
  const std::string json = line_of(record_json(record));
  CHECK(json.find('\n') == json.npos);
  CHECK(json.size() <=
        kMaxJsonHeadBytes + kMaxJsonBytes * (record.key.size() + record.value.bytes.size()));
  check_same(decode_record_json(json), record);
}

void check_read(const Result<KvRecord>& read) {
  if (read.ok()) {
    check_record(read.value());
  } else {
    CHECK(read.error().fault == Fault::kInvalid && !read.error().context.empty());
  }
}

void check_escapes(std::string_view text) {
  auto bytes = unescape_text(text);
  CHECK(bytes.ok() || bytes.error().fault == Fault::kInvalid);
  auto again = unescape_text(escape_text(text));
  CHECK(again.ok() && again.value() == text);
  auto key = unescape_text(escape_key(text));
  CHECK(key.ok() && key.value() == text);
  CHECK(escape_key(text).find('=') == std::string::npos);
  auto duration = parse_duration(text, "it");
  CHECK(duration.ok() || duration.error().fault == Fault::kInvalid);
}

void run(FuzzInput input) {
  const uint64_t kind = input.below(4);
  const std::string_view text = input.rest_text();
  // Each byte may be six on the way, in a few strings at once.
  const AllocationBound bound(256 * text.size() + (size_t(64) << 10));
  switch (kind) {
    case 0:
      return check_read(decode_record_line(text));
    case 1:
      return check_read(decode_record_json(text));
    case 2:
      return check_escapes(text);
    default:
      break;
  }
  const auto expires_at_ms = input.number<uint64_t>();
  const auto key = input.take(input.below(16));
  const std::string_view value = input.rest_text();
  check_record({std::string(reinterpret_cast<const char*>(key.data()), key.size()),
                {std::string(value), 0, expires_at_ms}});
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size));
  return 0;
}
