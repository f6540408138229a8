// Scoped keys: a leading byte that says what kind of record it is, then typed fields, so that keys
// sort as their fields do.
//
//     KvKeyWriter(kEntry).number(parent).name("disk").take()
//
//   scope    1 byte
//   number   8 bytes, big-endian
//   name     its bytes, 00 written as 00 FF; 00 01 at its end
//   prefix   of a name: without the end, for lists of all names that begin so
//   raw      the rest as it is
//
// A name sorts before those that it begins, whatever follows it. Pure functions; docs/FORMAT.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace casdisk {

class KvKeyWriter {
 public:
  explicit KvKeyWriter(uint8_t scope) : key_(1, char(scope)) {}

  KvKeyWriter& number(uint64_t value);
  KvKeyWriter& name(std::string_view name);
  KvKeyWriter& name_prefix(std::string_view prefix);
  KvKeyWriter& raw(std::string_view bytes);
  std::string take() { return std::move(key_); }

 private:
  std::string key_;
};

// Reads a key again; a field that is not there or not one gives failed(), and zeros.
class KvKeyReader {
 public:
  explicit KvKeyReader(std::string_view key);

  uint8_t scope() const { return scope_; }
  uint64_t number();
  std::string name();
  std::string_view raw(size_t bytes);
  bool failed() const { return failed_; }
  // Everything was read, and nothing beyond.
  bool finished() const { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  uint8_t scope_ = 0;
  bool failed_ = false;
};

// The least key behind all that begin with `prefix`; none where there is no such key: all bytes of
// the prefix are FF (or there are none), and the range has no end.
std::optional<std::string> kv_prefix_end(std::string_view prefix);

}  // namespace casdisk
