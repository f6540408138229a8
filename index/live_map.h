// LiveMap: the dirty map of one generation as it is right now, in a shared mapping of a file.
//
// One word a chunk (block_state.h). A store to the mapping is in the page cache, so the map
// outlives the death of the process; it says nothing after a power cut, when the journal alone
// counts. Its header names the boot and the mount in which it was written, which is how recovery
// tells the two. The file is sparse: words are allocated in steps of kStepChunks before they are
// stored to, so that no store faults and a terabyte of clean disk costs nothing. docs/FORMAT.md has
// the header's table.
//
// get() and is_reserved() are lock-free. Everything else is called under the generation's mutex.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cas/os/file.h"
#include "index/block_state.h"

namespace casdisk {

// What a live map must have been written under to be believed.
struct MountProof {
  std::string boot_id;
  uint64_t mount_id = 0;
  bool operator==(const MountProof&) const = default;
};

class LiveMap {
 public:
  // Creates `name`, or empties it. Nothing is valid in it until validate().
  static Result<std::unique_ptr<LiveMap>> create(Directory& directory, const std::string& name,
                                                 uint64_t generation, uint64_t chunk_count);

  // nullptr when there is none that was validated under `proof` for this generation.
  static Result<std::unique_ptr<LiveMap>> open(Directory& directory, const std::string& name,
                                               uint64_t generation, uint64_t chunk_count,
                                               const MountProof& proof);

  // From now on the map is believed by whoever opens it under `proof`.
  void validate(const MountProof& proof);

  ChunkWord get(uint64_t chunk) const;

  // Makes the words of the chunks storable. kNoSpace leaves everything as it was.
  Result<void> reserve(uint64_t first, uint64_t count);
  bool is_reserved(uint64_t first, uint64_t count) const;  // lock-free
  // REQUIRES: reserved.
  void set(uint64_t chunk, ChunkWord word);

  // The first chunk in [from, end) that is not clean, or `end`.
  uint64_t next_dirty(uint64_t from, uint64_t end) const;

  // An earlier sync of this generation failed. Outlives the process like the map does. poison() is
  // safe from any thread.
  bool poisoned() const;
  void poison();

  uint64_t chunk_count() const { return chunk_count_; }

 private:
  LiveMap(std::unique_ptr<File> file, std::unique_ptr<Mapping> mapping, uint64_t generation,
          uint64_t chunk_count);
  ChunkWord* word(uint64_t chunk) const;
  bool step_is_reserved(uint64_t step) const;

  // Fixed after construction.
  std::unique_ptr<File> file_;
  std::unique_ptr<Mapping> mapping_;
  uint64_t generation_;
  uint64_t chunk_count_;
  // One bit for each step of words that is allocated; bits are only ever set.
  std::vector<std::atomic<uint64_t>> reserved_steps_;
};

}  // namespace casdisk
