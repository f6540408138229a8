// What every fuzz target has: one entry point, typed pieces of the input, and the oracles that
// formats share.
//
// A target is one .cc with LLVMFuzzerTestOneInput. It takes any bytes, and CHECKs what must hold
// whatever they are. With CASDISK_FUZZ it is linked with libFuzzer; without, with replay_main.cc,
// which runs the kept inputs (corpus/<target>/) as an ordinary test. docs/TESTING.md says more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "cas/os/bytes.h"
#include "cas/os/result.h"
#include "tests/fuzz/allocation_bound.h"

// What libFuzzer and replay_main.cc call. Always returns 0; a broken promise aborts.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace casdisk {

// Decisions and bytes out of an input; zeros once it is used up.
class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : rest_(std::as_bytes(std::span(data, size))) {}

  template <std::unsigned_integral T>
  T number() {
    std::byte bytes[sizeof(T)] = {};
    auto taken = take(sizeof(T));
    std::ranges::copy(taken, bytes);
    return load_le<T>(bytes);
  }
  // 0 to `count` - 1; costs as few bytes of the input as will do.
  uint64_t below(uint64_t count) {
    if (count <= 1) return 0;
    if (count <= 256) return number<uint8_t>() % count;
    return (count <= 65536 ? number<uint16_t>() : number<uint64_t>()) % count;
  }
  // At most `count` bytes.
  std::span<const std::byte> take(size_t count) {
    auto taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  std::span<const std::byte> rest() const { return rest_; }
  std::string_view rest_text() const {
    return {reinterpret_cast<const char*>(rest_.data()), rest_.size()};
  }
  bool empty() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

inline bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::ranges::equal(a, b);
}

// Of a canonical format: what decodes is encoded to the same bytes again, what does not is damage
// that says something, and neither takes more memory than `most_bytes`.
template <typename Decode, typename Encode>
void check_canonical(std::span<const std::byte> bytes, size_t most_bytes, Decode decode,
                     Encode encode) {
  const AllocationBound bound(most_bytes);
  auto value = decode(bytes);
  if (value.ok()) {
    CHECK(same_bytes(encode(value.value()), bytes));
  } else {
    CHECK(value.error().fault == Fault::kDamaged && !value.error().context.empty());
  }
}

// Of a text format that may say one thing in several ways: what was read is written in a way that
// is read again as the same.
template <typename Decode, typename Encode>
void check_text_round_trip(std::string_view text, size_t most_bytes, Decode decode, Encode encode) {
  const AllocationBound bound(most_bytes);
  auto value = decode(text);
  if (!value.ok()) {
    CHECK(!value.error().context.empty());
    return;
  }
  const std::string written = encode(value.value());
  auto again = decode(written);
  CHECK(again.ok());
  CHECK(encode(again.value()) == written);
}

}  // namespace casdisk
