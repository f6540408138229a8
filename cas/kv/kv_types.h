// The words of the key-value layer: records, changes, conditions, limits, capabilities.
//
// KvStore (kv_store.h) is what callers use, KvBackend (kv_backend.h) what an engine implements.
// Keys and values are bytes; keys are ordered as unsigned bytes, a prefix before what it begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cas/os/result.h"

namespace casdisk {

struct KvValue {
  std::string bytes;
  // Opaque. It differs for every change of a key in a store, also when the key was removed and made
  // again in between. 0 where the backend has none (KvCapability::kVersions).
  uint64_t version = 0;
  uint64_t expires_at_ms = 0;  // since 1970, by the clock that judges it; 0: never
};

struct KvRecord {
  std::string key;
  KvValue value;
};

// One change. The views are the caller's, valid for the call.
struct KvOperation {
  enum class Kind { kPut, kRemove };
  Kind kind = Kind::kPut;
  std::string_view key;
  std::string_view value = {};  // of a put
  uint64_t ttl_ms = 0;          // of a put; 0: for ever
};

// What must hold for a change to be made. A record that has expired is absent.
struct KvCondition {
  enum class Kind { kAbsent, kExists, kVersion };
  Kind kind = Kind::kAbsent;
  std::string_view key;
  uint64_t version = 0;  // of kVersion
};

// Whether it holds for a record at `version`; nothing: there is none, or it has expired.
inline bool kv_holds(const KvCondition& condition, std::optional<uint64_t> version) {
  switch (condition.kind) {
    case KvCondition::Kind::kAbsent:
      return !version;
    case KvCondition::Kind::kExists:
      return version.has_value();
    case KvCondition::Kind::kVersion:
      break;
  }
  return version == condition.version;
}

// All conditions hold and all operations are done, in one step that nobody sees a part of, or
// nothing is changed. No key is in two operations.
struct KvWrite {
  std::span<const KvOperation> operations;
  std::span<const KvCondition> conditions = {};
};

// What became of one operation.
struct KvOutcome {
  uint64_t version = 0;        // of a put, where there are versions
  uint64_t removed_count = 0;  // of a remove: records that were there and had not expired
};

struct KvListRequest {
  std::string_view prefix = {};
  std::string_view after = {};  // only keys greater than this one; empty: from the prefix on
  size_t limit_count = 0;       // of records, at least 1
  size_t limit_bytes = 0;       // of keys and values: a slice ends with the record that reaches it
  bool with_values = true;
};

// Some of what a list asks for. A backend may end it early (a bound on what one call looks at),
// with no record at all even, as long as `after` goes on.
struct KvSlice {
  std::vector<KvRecord> records;
  std::string after;  // go on behind this key, which begins with the prefix; empty: that was all
};

struct KvStats {
  uint64_t record_count = 0;    // as stored: those that have expired and duplicates count
  uint64_t used_bytes = 0;      // of the medium; 0: not known
  uint64_t capacity_bytes = 0;  // the most that it can hold; 0: not known
  std::vector<std::pair<std::string, std::string>> more;  // what else this engine can say
};

// Constants of a backend: `static constexpr KvLimits kLimits`. They bind what is written; anything
// may be looked for.
struct KvLimits {
  size_t key_bytes = 0;
  size_t value_bytes = 0;
  size_t operation_count = 1;  // of one write, and as many conditions
  size_t write_bytes = 0;      // keys and values of one write
  uint64_t record_count = 0;  // distinct keys, which the backend sees to (kLimit); 0: no such limit
  bool is_text = false;       // a NUL ends keys and values there, so that none may be in them
};

// What a backend can do beyond get, list, put, remove, put-if-absent and truncate:
// `static constexpr KvCapabilities kCapabilities`.
enum class KvCapability : uint32_t {
  kVersions = 1 << 0,  // records have versions, writes may be conditional on them
  kBatch = 1 << 1,     // writes of several operations, or on the condition of other keys
  kTtl = 1 << 2,
  kAppend = 1 << 3,    // several records under one key
  kLoad = 1 << 4,      // everything replaced in one step
  kStale = 1 << 5,     // what is in it may be of an earlier boot
  kSnapshot = 1 << 6,  // a consistent copy of the whole, made while it is used
  kCompact = 1 << 7,
  kDurable = 1 << 8,      // what a write acknowledged survives the process and the power
  kShared = 1 << 9,       // several processes may write it at the same time
  kServerClock = 1 << 10  // expiry goes by a clock of the server's own, not by KvOpenOptions::clock
};

struct KvCapabilities {
  uint32_t bits = 0;
  constexpr KvCapabilities() = default;
  constexpr KvCapabilities(KvCapability one) : bits(uint32_t(one)) {}
  constexpr bool has(KvCapability one) const { return (bits & uint32_t(one)) != 0; }
  friend constexpr KvCapabilities operator|(KvCapabilities a, KvCapabilities b) {
    KvCapabilities both;
    both.bits = a.bits | b.bits;
    return both;
  }
};
constexpr KvCapabilities operator|(KvCapability a, KvCapability b) {
  return KvCapabilities(a) | KvCapabilities(b);
}

// Milliseconds since 1970. 0, before that: nothing has expired.
using KvClock = std::function<uint64_t()>;
uint64_t system_kv_clock();

inline bool kv_has_expired(uint64_t expires_at_ms, uint64_t now_ms) {
  return expires_at_ms != 0 && expires_at_ms <= now_ms;
}
// When what is put now with `ttl_ms` expires; 0 for a ttl of 0.
inline uint64_t kv_expiry(uint64_t ttl_ms, uint64_t now_ms) {
  return ttl_ms == 0 ? 0 : now_ms + ttl_ms;
}

}  // namespace casdisk
