// Codec: how the payload of a stored object is compressed.
//
// Pure functions; safe to call from any thread (each thread keeps one set of zstd contexts).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "cas/os/bytes.h"
#include "cas/os/result.h"

namespace casdisk {

// The numbers are stored in packs.
enum class Codec : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

// "none", "lz4" or "zstd", and back.
std::string_view codec_name(Codec codec);
std::optional<Codec> codec_from_name(std::string_view name);

// The compressed bytes, or nothing when it does not pay: unless a sixteenth is saved, reading the
// bytes as they are is cheaper than decompressing them.
std::optional<Bytes> compress(Codec codec, std::span<const std::byte> plain);

// Fills `plain` exactly. kDamaged when `stored` is not a compressed form of that many bytes; never
// writes outside `plain`.
Result<void> decompress(Codec codec, std::span<const std::byte> stored, std::span<std::byte> plain);

}  // namespace casdisk
