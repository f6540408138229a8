// KvStore: records under keys, in order; the one way to reach a backend.
//
//     auto store = open_kv("lmdb:" + path, {}, embedded_kv_schemes());      (kv_open.h)
//     store->put("disk/a", bytes, {.if_absent = true});
//
// It checks every argument against the backend's limits and capabilities before the backend hears
// of it, so that a refused call has changed nothing: kInvalid (an empty key, a NUL where keys are
// text, a cursor that no list gave), kTooLarge (with max and actual), kUnsupported. From the
// backend come kConflict, kLimit, kNoSpace, kUnavailable, kIo and kDamaged. No error holds a value.
//
// A write is durable when it returns, if the backend has kDurable. A get sees every write that
// returned before it was called; a list is not a snapshot. Safe to call from any thread.
#pragma once

#include <memory>
#include <optional>

#include "cas/kv/kv_backend.h"
#include "cas/kv/kv_batch.h"
#include "cas/kv/kv_checks.h"

namespace casdisk {

// What one operation took, for a debug log. Never a key, a value or a cursor.
struct KvTiming {
  std::string_view operation;
  uint64_t microseconds = 0;
  std::optional<Fault> fault = {};  // none: it succeeded
  size_t key_bytes = 0;             // of the key or prefix
  size_t value_bytes = 0;           // read or written
  uint64_t ttl_ms = 0;
  uint64_t count = 0;  // records found, written or removed: 0 of a get is a miss
};

struct KvStoreSettings {
  std::string name;  // as errors say it: a URL without its password
  std::function<void(const KvTiming&)> on_operation = nullptr;  // after each; from any thread
};

struct KvPutOptions {
  bool if_absent = false;                   // kConflict where the key is there
  std::optional<uint64_t> if_version = {};  // kConflict unless it is at this version
  uint64_t ttl_ms = 0;                      // 0: for ever; else kMinKvTtlMs..kMaxKvTtlMs
};

inline constexpr size_t kMaxKvPageCount = 1000;

struct KvListOptions {
  size_t limit_count = kMaxKvPageCount;    // 1..kMaxKvPageCount
  std::optional<std::string> cursor = {};  // of the page before
  bool with_values = true;
};

struct KvPage {
  std::vector<KvRecord> records;  // in key order; fewer than asked for where they are large
  std::optional<std::string> cursor = {};  // for the next page; none: that was the last
};

class KvStore {
 public:
  // Limits and capabilities are the class's own constants.
  template <typename Backend>
  static std::unique_ptr<KvStore> over(std::unique_ptr<Backend> backend, KvStoreSettings settings) {
    return std::make_unique<KvStore>(std::move(backend), Backend::kLimits, Backend::kCapabilities,
                                     std::move(settings));
  }
  // For a class with several sets of them.
  KvStore(std::unique_ptr<KvBackend> backend, const KvLimits& limits, KvCapabilities capabilities,
          KvStoreSettings settings);
  ~KvStore();
  KvStore(const KvStore&) = delete;
  KvStore& operator=(const KvStore&) = delete;

  const std::string& name() const { return settings_.name; }
  const KvLimits& limits() const { return checks_.limits(); }
  KvCapabilities capabilities() const { return checks_.capabilities(); }

  Result<std::optional<KvValue>> get(std::string_view key);
  // `bytes` of the value from `offset` on, fewer (or none) at its end.
  Result<std::optional<KvValue>> get_range(std::string_view key, uint64_t offset, size_t bytes);
  Result<bool> exists(std::string_view key);

  // The new version. An earlier TTL ends with the value that had it.
  Result<uint64_t> put(std::string_view key, std::string_view value,
                       const KvPutOptions& options = {});
  // One more record under the key, behind those that are there (kAppend). All, or by an I/O error a
  // beginning of them.
  Result<void> append(std::span<const KvRecord> records);
  // Whether it was there. With a version: kConflict unless it is at that one.
  Result<bool> remove(std::string_view key, std::optional<uint64_t> if_version = std::nullopt);
  // How many records there were. One step where they fit into a batch, several else.
  Result<uint64_t> remove_many(std::span<const std::string> keys);

  // All of it or, by an error, nothing: kConflict when a condition does not hold. One outcome for
  // each operation. A key is in one operation only.
  Result<std::vector<KvOutcome>> write(const KvBatch& batch);

  // A page is empty only when it is the last: what has expired and is not swept yet is gone over,
  // however many that are, with bounded memory but not in bounded time. Records that are written or
  // removed between two pages may be seen or not; no other is seen twice or missed.
  Result<KvPage> list(std::string_view prefix, const KvListOptions& options = {});
  // All pages, until `visit` fails. It may call the store.
  Result<void> visit(std::string_view prefix, const KvBackend::Visit& visit);

  // Puts what `change` makes of the value (of `missing` where there is none), if nobody else
  // changed it meanwhile; else once more, so `change` may be called several times. What it fails
  // with is returned. kConflict after kMaxKvTries. The new value and its version.
  using Change = std::function<Result<std::string>(std::string_view current)>;
  Result<KvValue> read_modify_write(std::string_view key, std::string_view missing,
                                    const Change& change, uint64_t ttl_ms = 0);

  // The whole store, raw: in the backend's order, with duplicates and with what has expired and is
  // not swept yet.
  Result<void> dump(const KvBackend::Visit& visit);
  // Replaces everything, in one step: the inverse of dump(). Versions are new.
  Result<void> load(std::span<const KvRecord> records);
  Result<void> truncate();
  // Whether it was last written before the machine started (kStale; else false).
  Result<bool> is_stale();
  // Whether it was, and is truncated now.
  Result<bool> truncate_if_stale();
  // Removes what has expired, which nobody can see any more: how many records.
  Result<uint64_t> sweep();
  // A consistent copy at `path`, which must not exist; the same scheme opens it. Durable.
  Result<void> snapshot(const std::string& path);
  Result<void> compact();
  Result<KvStats> stats();

 private:
  Result<std::vector<KvOutcome>> write(const KvWrite& write, KvTiming& timing);
  Error named(Error error) const;

  // Fixed after construction.
  const std::unique_ptr<KvBackend> backend_;
  const KvStoreSettings settings_;
  const KvChecks checks_;
};

inline constexpr int kMaxKvTries = 200;

}  // namespace casdisk
