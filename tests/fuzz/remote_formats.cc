// What servers answer and what their URLs are: etcd's messages, base64, URLs.
#include "cas/os/base64.h"
#include "remotes/kv/etcd_messages.h"
#include "remotes/kv/server_url.h"
#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

template <typename T>
void check_answer(const Result<T>& decoded) {
  CHECK(decoded.ok() ||
        (decoded.error().fault == Fault::kDamaged && !decoded.error().context.empty()));
}

void check_base64(std::string_view text) {
  const auto bytes = decode_base64(text);
  CHECK(!bytes || encode_base64(*bytes) == text);
  CHECK(decode_base64(encode_base64(text)) == text);
}

void check_url(std::string_view text) {
  auto url = parse_server_url(text, 1);
  if (!url.ok()) {
    CHECK(url.error().fault == Fault::kInvalid && !url.error().context.empty());
    return;
  }
  CHECK(url.value().servers.size() <= kMaxServerCount);
  for (const ServerAddress& server : url.value().servers) {
    CHECK(!server.host.empty() && server.port != 0);
  }
  CHECK(url.value().path.empty() || url.value().path.starts_with('/'));
}

void run(FuzzInput input) {
  const uint64_t kind = input.below(7);
  const std::string_view text = input.rest_text();
  // An empty array is two bytes of text, and some dozens in memory.
  const AllocationBound bound(256 * text.size() + (size_t(64) << 10));
  switch (kind) {
    case 0:
      return check_answer(decode_etcd_range(text));
    case 1:
      return check_answer(decode_etcd_txn(text));
    case 2:
      return check_answer(decode_etcd_status(text));
    case 3:
      return check_answer(decode_etcd_lease_keys(text));
    case 4:
      CHECK(!decode_etcd_refusal(500, text).text.empty());
      return;
    case 5:
      return check_base64(text);
    default:
      return check_url(text);
  }
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size));
  return 0;
}
