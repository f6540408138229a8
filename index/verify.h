// Verify: reads what a store, a disk or a checkpoint consists of, and says what is damaged and whom
// that touches.
//
// Works beside processes that write, seal, remove and collect garbage: before anything counts as
// damaged it is looked up once more, and only what the catalog names at the end is said to have
// lost something. Damaged copies that were found are flagged in the location table. Nothing else
// changes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cas/pack_check.h"
#include "index/damage_map.h"
#include "index/names.h"
#include "index/store.h"

namespace casdisk {

enum class VerifyDepth {
  kContents,  // reads all
  kNames,     // reads pages, and of the rest what is flagged or not where the table says
};

struct VerifyOptions {
  unsigned threads = 1;
  VerifyDepth depth = VerifyDepth::kContents;
  // Of the chunks, those whose id is drawn with this seed; pages and records are always read. At
  // 100 or more all are.
  double sample_percent = 100;
  uint64_t sample_seed = 0;
  // Bytes read so far and of all, 0 if that is unknown; from any thread. False ends it (EINTR).
  std::function<bool(uint64_t done_bytes, uint64_t total_bytes)> progress = [](uint64_t, uint64_t) {
    return true;
  };
};

// A place that a damaged object belongs to.
struct ObjectUse {
  std::string volume;
  ByteRange range;  // empty: of the checkpoint's record
};

struct BadObject {
  static constexpr size_t kMaxUses = 16;

  ChunkId id;
  std::optional<ObjectKind> kind;        // unset: nothing names it, so nobody can say
  std::optional<PackLocation> location;  // unset: the store does not know it
  std::string what;
  std::vector<ObjectUse> uses;  // the first kMaxUses of them
  uint64_t use_count = 0;       // 0: nothing is lost with it
};

// A fallback, as it is needed for what is not ingested yet.
struct FallbackState {
  FallbackId id;
  std::string path;                        // empty: the catalog does not have it
  std::optional<Error> failure;            // the file is not there, or not what it was
  std::vector<VolumeDamage> not_ingested;  // what of its users only the file answers
};

struct VerifyReport {
  bool is_sample = false;
  uint64_t page_count = 0;
  uint64_t chunk_count = 0;   // that were read; of a whole store: records of every kind
  uint64_t chunk_total = 0;   // that there are
  uint64_t record_count = 0;  // of checkpoints
  uint64_t volume_count = 0;  // heads, checkpoints, attachments, tables
  uint64_t checked_bytes = 0;

  std::vector<BadObject> objects;  // no more than kMaxObjects
  uint64_t object_count = 0;
  std::vector<VolumeDamage> volumes;
  std::vector<FallbackState> fallbacks;
  std::vector<std::string> problems;   // of unsealed writes and the catalog, a sentence each
  std::vector<std::string> notes;      // what was not looked at, and why
  std::vector<UnnamedDamage> unnamed;  // in packs, and nothing names it
  uint64_t unnamed_count = 0;

  // Every byte of every disk and checkpoint that was looked at can be read.
  bool is_clean() const;
};

// Damaged objects that are held in memory with their names, 200 bytes each: those beyond are
// counted, and missing from ranges.
inline constexpr size_t kMaxObjects = size_t(1) << 20;

// The whole store: every record of every pack, reachable or not, and all that the catalog names.
// With a sample: the pages, and of the chunks a share.
Result<VerifyReport> verify_store(Store& store, const VerifyOptions& options);

// A disk with its checkpoints, or one checkpoint.
Result<VerifyReport> verify_volume(Store& store, const VolumeName& name,
                                   const VerifyOptions& options);

}  // namespace casdisk
