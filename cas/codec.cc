#include "cas/codec.h"

#include <fmt/format.h>
#include <lz4.h>
#include <zstd.h>

#include <cstring>
#include <memory>

namespace casdisk {

namespace {

// The fastest of the regular levels: chunks are compressed while a guest waits for its disk.
constexpr int kZstdLevel = 1;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// The size of the result; 0 when it does not fit.
size_t compress_zstd(std::span<const std::byte> plain, Bytes& into) {
  thread_local std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  if (context == nullptr) return 0;
  size_t size = ZSTD_compressCCtx(context.get(), into.data(), into.size(), plain.data(),
                                  plain.size(), kZstdLevel);
  return ZSTD_isError(size) ? 0 : size;
}

size_t compress_lz4(std::span<const std::byte> plain, Bytes& into) {
  int size = LZ4_compress_default(reinterpret_cast<const char*>(plain.data()),
                                  reinterpret_cast<char*>(into.data()), int(plain.size()),
                                  int(into.size()));
  return size > 0 ? size_t(size) : 0;
}

bool decompress_zstd(std::span<const std::byte> stored, std::span<std::byte> plain) {
  thread_local std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  if (context == nullptr) return false;
  return ZSTD_decompressDCtx(context.get(), plain.data(), plain.size(), stored.data(),
                             stored.size()) == plain.size();
}

bool decompress_lz4(std::span<const std::byte> stored, std::span<std::byte> plain) {
  if (stored.size() > LZ4_MAX_INPUT_SIZE || plain.size() > LZ4_MAX_INPUT_SIZE) return false;
  int size = LZ4_decompress_safe(reinterpret_cast<const char*>(stored.data()),
                                 reinterpret_cast<char*>(plain.data()), int(stored.size()),
                                 int(plain.size()));
  return size >= 0 && size_t(size) == plain.size();
}

}  // namespace

std::string_view codec_name(Codec codec) {
  switch (codec) {
    case Codec::kNone:
      return "none";
    case Codec::kLz4:
      return "lz4";
    case Codec::kZstd:
      return "zstd";
  }
  return "unknown";
}

std::optional<Codec> codec_from_name(std::string_view name) {
  for (Codec codec : {Codec::kNone, Codec::kLz4, Codec::kZstd}) {
    if (name == codec_name(codec)) return codec;
  }
  return std::nullopt;
}

std::optional<Bytes> compress(Codec codec, std::span<const std::byte> plain) {
  if (codec == Codec::kNone || plain.size() > LZ4_MAX_INPUT_SIZE) return std::nullopt;
  if (plain.size() < 16) return std::nullopt;
  // No room for more than what pays: both compressors give up when it is used up.
  Bytes stored(plain.size() - plain.size() / 16);
  size_t size = codec == Codec::kLz4 ? compress_lz4(plain, stored) : compress_zstd(plain, stored);
  if (size == 0) return std::nullopt;
  stored.resize(size);
  return stored;
}

Result<void> decompress(Codec codec, std::span<const std::byte> stored,
                        std::span<std::byte> plain) {
  bool whole = false;
  if (codec == Codec::kNone) {
    whole = stored.size() == plain.size();
    if (whole && !plain.empty()) std::memcpy(plain.data(), stored.data(), plain.size());
  } else if (codec == Codec::kLz4) {
    whole = decompress_lz4(stored, plain);
  } else if (codec == Codec::kZstd) {
    whole = decompress_zstd(stored, plain);
  }
  if (whole) return {};
  return Error{Fault::kDamaged, 0,
               fmt::format("{} bytes of {} are not {} bytes compressed", stored.size(),
                           codec_name(codec), plain.size())};
}

}  // namespace casdisk
