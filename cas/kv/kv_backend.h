// KvBackend: what an engine implements. Nobody calls it but KvStore, which owns it.
//
// KvStore has checked every argument against the class's kLimits and kCapabilities: no empty key,
// no value too large, no NUL where keys are text, no TTL, condition or batch that the capabilities
// do not name; and it calls an optional function only if the capability says that it is there. An
// implementation may check more, before it writes anything.
//
// Besides the functions, a class has
//     static constexpr KvLimits kLimits = {...};
//     static constexpr KvCapabilities kCapabilities = KvCapability::kVersions | ...;
//
// Every function is safe to call from any thread. An error that is not the caller's names the store
// (a path, a server) and what to do, never a value. Faults: kConflict (a condition, kv_conflict()),
// kLimit (KvLimits::record_count), kNoSpace, kIo, kDamaged, kUnavailable (a server: it may be tried
// again; a write may or may not have been done).
//
// Every implementation passes tests/contract/kv_*_contract.cc.
#pragma once

#include <optional>

#include "cas/kv/kv_types.h"

namespace casdisk {

class KvBackend {
 public:
  virtual ~KvBackend() = default;

  // What is under `key` and has not expired. A key that is too long to be there is not there. Where
  // there are duplicates: the one that was written last.
  virtual Result<std::optional<KvValue>> get(std::string_view key) = 0;

  // Records that have not expired, in key order, one for each key. It bounds what one call looks
  // at.
  virtual Result<KvSlice> list(const KvListRequest& request) = 0;

  // One outcome for each operation, in their order. A put replaces all duplicates of its key. It
  // looks anew, inside the write, whether what a condition or a remove is about has expired.
  virtual Result<std::vector<KvOutcome>> write(const KvWrite& write) = 0;

  // Each record as it is stored, in the backend's own order: duplicates, and what has expired and
  // is not swept yet. Not a snapshot: what is written meanwhile may be in it or not.
  using Visit = std::function<Result<void>(const KvRecord&)>;
  virtual Result<void> dump(const Visit& visit) = 0;

  // Afterwards it is empty. A store that does not exist yet stays so.
  virtual Result<void> truncate() = 0;

  virtual Result<KvStats> stats() = 0;

  // --- What has a fall-back, and a backend may have a better way to do.

  virtual Result<bool> exists(std::string_view key);
  // `bytes` of the value from `offset` on, fewer at its end; none where the key is not there.
  virtual Result<std::optional<KvValue>> get_range(std::string_view key, uint64_t offset,
                                                   size_t bytes);
  // Removes what has expired, in slices: how many records. Fall-back: none, a server does it.
  virtual Result<uint64_t> sweep();

  // --- What exists by capability; the fall-backs are kUnsupported.

  // kLoad: replaces everything by `records`, in one step. KvStore has checked each; versions are
  // new, expiry is as given. Keys repeat only where kAppend is a capability.
  virtual Result<void> load(std::span<const KvRecord> records);
  // kAppend: adds records behind the others, whatever is under their keys, in one step.
  virtual Result<void> append(std::span<const KvOperation> puts);
  // kStale: whether it was last written before the machine started. What does not exist is not.
  virtual Result<bool> is_stale();
  // The same, and truncated in the same step; false when it was not stale.
  virtual Result<bool> truncate_if_stale();
  // kSnapshot: a store that the same scheme opens, at `path`, which must not exist: durable.
  virtual Result<void> snapshot(const std::string& path);
  // kCompact: gives back to the medium what removed records took.
  virtual Result<void> compact();
};

// The outcome of a condition that does not hold.
Error kv_conflict(const KvCondition& condition);

// kLimit: `count` records are `max` at most.
Error kv_too_many(const std::string& store, uint64_t max, uint64_t count);

// A key as messages show it: quoted, what is not printable as \xNN, its beginning if it is long.
std::string kv_quote(std::string_view key);

// A dump out of lists of `limit_count` records each: visits every record that they find.
Result<void> kv_visit_lists(const std::function<Result<KvSlice>(const KvListRequest&)>& list,
                            size_t limit_count, const KvBackend::Visit& visit);

}  // namespace casdisk
