// Replies of the control protocol: what is understood is written so that it is understood alike.
#include "nbd/control/control_protocol.h"
#include "tests/fuzz/fuzz_target.h"

using casdisk::ControlReply;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > casdisk::kMaxControlLineBytes) return 0;  // nobody hands on a longer line
  // An empty array is two bytes of text, and some dozens in memory.
  casdisk::check_text_round_trip(
      casdisk::FuzzInput(data, size).rest_text(), 128 * size + (size_t(64) << 10),
      [](auto line) { return casdisk::decode_reply(line); },
      [](const ControlReply& reply) { return encode(reply); });
  return 0;
}
