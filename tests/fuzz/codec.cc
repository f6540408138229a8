// Codecs: whatever is decompressed fills its buffer exactly or is damage, and what was compressed
// comes back.
#include "cas/codec.h"

#include "cas/chunk_store.h"
#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

void check_decompression(Codec codec, std::span<const std::byte> stored, size_t plain_bytes) {
  const AllocationBound bound(plain_bytes + 4096);
  Bytes plain(plain_bytes);
  auto done = decompress(codec, stored, plain);
  CHECK(done.ok() || done.error().fault == Fault::kDamaged);
}

void check_compression(Codec codec, std::span<const std::byte> plain) {
  const AllocationBound bound(3 * plain.size() + 4096);
  auto stored = compress(codec, plain);
  if (!stored) return;
  CHECK(stored->size() <= plain.size() - plain.size() / 16);
  Bytes again(plain.size());
  CHECK(decompress(codec, *stored, again).ok() && same_bytes(again, plain));
}

void run(FuzzInput input) {
  const Codec codec = Codec(input.below(3));
  const size_t plain_bytes = input.below(kMaxObjectBytes + 1);
  check_decompression(codec, input.rest(), plain_bytes);
  check_decompression(codec, input.rest(), input.rest().size());
  check_decompression(codec, input.rest(), kMaxObjectBytes);
  check_compression(codec, input.rest());
  Bytes repeated;  // compresses well
  while (!input.empty() && repeated.size() < plain_bytes) {
    repeated.insert(repeated.end(), input.rest().begin(), input.rest().end());
  }
  check_compression(codec, repeated);
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size));
  return 0;
}
