// What an access store hands back, and what people and clients write: records of users and tokens,
// envelopes, files of master keys, grants, tokens in export names. Any bytes are what was written,
// and are written the same again, or are refused; no envelope opens after a change.
#include "nbd/auth/access_records.h"
#include "nbd/auth/envelope.h"
#include "nbd/auth/grant.h"
#include "nbd/auth/master_keys.h"
#include "nbd/auth/token_text.h"
#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes bytes_of(std::string_view text) {
  const auto bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

template <typename Decode, typename Encode>
void check_record(std::span<const std::byte> bytes, Decode decode, Encode encode) {
  check_canonical(
      bytes, 16384 + 64 * bytes.size(), [&](auto stored) { return decode(text_of(stored)); },
      [&](const auto& value) { return bytes_of(encode(value)); });
}

void check_records(FuzzInput& input) {
  const auto bytes = input.rest();
  check_record(bytes, decode_user, encode_user);
  check_record(bytes, decode_token, encode_token);
  check_record(bytes, decode_failures, encode_failures);
  check_record(bytes, decode_time, encode_time);
  check_record(bytes, decode_audit, encode_audit);
}

const MasterKey& master_key() {
  static const MasterKeys keys = MasterKeys::parse(std::string(64, 'a')).value();
  return keys.newest();
}

// As it comes: only ever damage, because nobody else has the key.
void check_envelope(FuzzInput& input) {
  const AllocationBound bound(4096 + 4 * input.rest().size());
  auto envelope = parse_envelope(input.rest_text());
  if (!envelope.ok()) {
    CHECK(envelope.error().fault == Fault::kDamaged);
    return;
  }
  envelope.value().master_key = master_key().id;
  CHECK(!open_envelope(master_key(), "key", envelope.value()).ok());
}

// One of ours, and that with a change in it.
void check_changed_envelope(FuzzInput& input) {
  const size_t at = input.number<uint16_t>();
  const auto change = uint8_t(1 + input.below(255));
  const std::string plain(input.rest_text());
  std::string value = make_envelope(master_key(), Cipher::kXChaCha20Poly1305, "key", plain);
  auto opened = open_envelope(master_key(), "key", parse_envelope(value).value());
  CHECK(opened.ok() && opened.value() == plain);
  const size_t changed_at = at % value.size();
  value[changed_at] = char(uint8_t(value[changed_at]) ^ change);
  auto changed = parse_envelope(value);
  if (!changed.ok() || changed.value().master_key != master_key().id) return;
  CHECK(!open_envelope(master_key(), "key", changed.value()).ok());
}

void check_texts(FuzzInput& input) {
  const std::string_view text = input.rest_text();
  const size_t most_bytes = 16384 + 16 * text.size();
  check_text_round_trip(text, most_bytes, parse_grant, grant_text);
  (void)MasterKeys::parse(text).ok();
  if (const auto token = parse_token(text)) CHECK(token_text(*token) == text);
  const NameWithToken split = split_token(text);
  if (split.token.empty()) {
    CHECK(split.name == text);
  } else {
    CHECK(split.name + "@" + split.token == text);
    CHECK(split.token.find('@') == std::string::npos);
  }
  const Grant everything{kAllScopes, "*"};
  CHECK(any_allows({&everything, 1}, Scope::kRead, text));
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace casdisk;
  FuzzInput input(data, size);
  switch (input.below(4)) {
    case 0:
      check_records(input);
      break;
    case 1:
      check_envelope(input);
      break;
    case 2:
      check_changed_envelope(input);
      break;
    default:
      check_texts(input);
      break;
  }
  return 0;
}
