// Little-endian numbers in byte strings: what every format of ours is written and read with.
//
// ByteReader bounds every read: a decoder that runs off the end gets `failed()`, zeros and no
// memory access, and checks once at its own end.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace casdisk {

using Bytes = std::vector<std::byte>;

// One store or load each where the machine is little-endian itself.
template <std::unsigned_integral T>
void store_le(std::byte* to, T value) {
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(to, &value, sizeof(T));
    return;
  }
  for (size_t i = 0; i < sizeof(T); i++) to[i] = std::byte(uint8_t(value >> (8 * i)));
}

template <std::unsigned_integral T>
T load_le(const std::byte* from) {
  T value = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&value, from, sizeof(T));
    return value;
  }
  for (size_t i = 0; i < sizeof(T); i++) value |= T(T(uint8_t(from[i])) << (8 * i));
  return value;
}

class ByteWriter {
 public:
  ByteWriter() = default;
  explicit ByteWriter(size_t expected_bytes) { bytes_.reserve(expected_bytes); }

  template <std::unsigned_integral T>
  ByteWriter& number(T value) {
    size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    store_le(bytes_.data() + at, value);
    return *this;
  }
  ByteWriter& raw(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  // u16 length, then the bytes.
  ByteWriter& text(std::string_view value) {
    number(uint16_t(value.size()));
    return raw(std::as_bytes(std::span(value)));
  }
  size_t size() const { return bytes_.size(); }
  Bytes take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <std::unsigned_integral T>
  T number() {
    auto bytes = raw(sizeof(T));
    return bytes.size() == sizeof(T) ? load_le<T>(bytes.data()) : T(0);
  }
  // The next `count` bytes, or an empty span (and failed()) when fewer are left.
  std::span<const std::byte> raw(size_t count) {
    if (count > rest_.size()) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    auto bytes = rest_.first(count);
    rest_ = rest_.subspan(count);
    return bytes;
  }
  std::string text() {
    auto bytes = raw(number<uint16_t>());
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  bool failed() const { return failed_; }
  // True when everything was read, and nothing beyond.
  bool finished() const { return !failed_ && rest_.empty(); }
  size_t left() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
  bool failed_ = false;
};

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace casdisk
