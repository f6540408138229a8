// Requests of the control protocol: what is understood is written so that it is understood alike.
#include "nbd/control/control_protocol.h"
#include "tests/fuzz/fuzz_target.h"

using casdisk::ControlRequest;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > casdisk::kMaxControlLineBytes) return 0;  // nobody hands on a longer line
  // An empty array is two bytes of text, and some dozens in memory.
  casdisk::check_text_round_trip(
      casdisk::FuzzInput(data, size).rest_text(), 128 * size + (size_t(64) << 10),
      [](auto line) { return casdisk::decode_request(line); },
      [](const ControlRequest& request) { return encode(request); });
  auto request = casdisk::decode_request(casdisk::FuzzInput(data, size).rest_text());
  if (!request.ok()) return 0;
  auto id = casdisk::request_id(casdisk::FuzzInput(data, size).rest_text());
  CHECK(!id || *id == request.value().id);
  return 0;
}
