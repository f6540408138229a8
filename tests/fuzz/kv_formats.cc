// What a key-value store hands back or is handed: cursors, scoped keys, and what files are stored
// as. Any bytes are what was written, and are written the same again, or are refused.
#include "cas/kv/key_codec.h"
#include "cas/kv/kv_cursor.h"
#include "cas/kv/kv_file_record.h"
#include "cas/kv/kv_record_format.h"
#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

void check_cursor(FuzzInput& input) {
  const auto prefix_bytes = input.take(input.below(8));
  const std::string_view prefix(reinterpret_cast<const char*>(prefix_bytes.data()),
                                prefix_bytes.size());
  auto after = decode_kv_cursor(prefix, input.rest_text());
  if (after.ok()) {
    CHECK(after.value().starts_with(prefix));
    CHECK(encode_kv_cursor(prefix, after.value()) == input.rest_text());
  } else {
    CHECK(after.error().fault == Fault::kInvalid);
  }
  if (input.empty()) return;
  const std::string key = std::string(prefix) + std::string(input.rest_text());
  auto again = decode_kv_cursor(prefix, encode_kv_cursor(prefix, key));
  CHECK(again.ok() && again.value() == key);
}

void check_key(FuzzInput& input) {
  const std::string_view key = input.rest_text();
  KvKeyReader reader(key);
  const uint8_t scope = reader.scope();
  const uint64_t number = reader.number();
  const std::string name = reader.name();
  if (reader.finished()) {
    CHECK(KvKeyWriter(scope).number(number).name(name).take() == key);
    CHECK(key.starts_with(KvKeyWriter(scope).number(number).name_prefix(name).take()));
  }
  const auto end = kv_prefix_end(key);
  if (end) {
    CHECK(*end > key && *end > std::string(key) + "\xff\xff");
    CHECK(!end->starts_with(key));
  }
}

void check_records(FuzzInput& input) {
  const auto bytes = input.rest();
  const size_t most_bytes = 4096 + 8 * bytes.size();
  check_canonical(bytes, most_bytes, decode_kv_file, encode_kv_file);
  check_canonical(bytes, most_bytes, decode_kv_ranges, encode_kv_ranges);
  check_canonical(
      bytes, most_bytes, [](auto stored) { return decode_kv_value(stored); },
      [](const KvValue& value) {
        return encode_kv_value({value.version, value.expires_at_ms}, value.bytes);
      });
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace casdisk;
  FuzzInput input(data, size);
  switch (input.below(3)) {
    case 0:
      check_cursor(input);
      break;
    case 1:
      check_key(input);
      break;
    default:
      check_records(input);
      break;
  }
  return 0;
}
