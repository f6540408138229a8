// SpaceReserve: space of a store that only what makes room, or needs very little, may take.
//
//   STORE/reserve   a page whose first word says "in use" (FORMAT.md), then space that holds
//   nothing
//
// While there is room, the file occupies some of it. What must go on in a full store (trims,
// flushes, rm, the catalog) runs under with_reserve(): when it meets a full file system, the space
// is given back and it is tried once more. From then on, until the reserve is whole again, guests'
// writes and seals ask check_room() first, which keeps them off what was given back. The word is in
// a shared mapping, so all processes of the store see it at once, and it costs a load while all is
// well.
//
// Nothing depends on the file: one that is missing, short or in use after a crash is made anew by
// whoever next finds room. Safe to call from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "cas/os/file.h"

namespace casdisk {

class SpaceReserve {
 public:
  // Enough for some hundred generations' maps and journals (260 KiB each), for some thousand
  // commits of the catalog (a few pages each), or for three disks that recover what their journals
  // carry (8 MiB each). On a small file system no more than an eighth of what is free.
  static constexpr uint64_t kReserveBytes = uint64_t(32) << 20;

  // Opens or makes the file `reserve` of the directory, which outlives it. Without space for it
  // there is none until the next open.
  static Result<std::unique_ptr<SpaceReserve>> open(Directory& directory, uint64_t wanted_bytes);

  // For whoever only adds data: kNoSpace while the reserve is in use and less is free than it had.
  // Makes it whole again when there is room for that.
  Result<void> check_room();

  // Gives the space back. False when there is none to give, now or since it was last made.
  bool release();

  bool is_in_use() const;

 private:
  SpaceReserve(Directory& directory, std::unique_ptr<File> file, std::unique_ptr<Mapping> mapping,
               uint64_t reserve_bytes)
      : directory_(directory),
        file_(std::move(file)),
        mapping_(std::move(mapping)),
        reserve_bytes_(reserve_bytes) {}
  void set_in_use(bool in_use);
  void make_whole();

  // Fixed after construction.
  Directory& directory_;
  const std::unique_ptr<File> file_;
  const std::unique_ptr<Mapping> mapping_;  // null: there was no space for it
  const uint64_t reserve_bytes_;

  std::mutex mutex_;  // one change of the file at a time
};

// For LmdbOptions::make_room.
inline std::function<bool()> make_room_with(SpaceReserve* reserve) {
  if (reserve == nullptr) return nullptr;
  return [reserve] { return reserve->release(); };
}

// Runs body(), and once more after a full file system stopped it, on the reserve's space. What it
// did before must not be in its own way then. A failed sync is no such case: it is kPoisoned.
// `reserve` may be null.
template <typename Body>
auto with_reserve(SpaceReserve* reserve, Body body) -> decltype(body()) {
  auto outcome = body();
  if (outcome.ok() || outcome.error().fault != Fault::kNoSpace) return outcome;
  if (reserve == nullptr || !reserve->release()) return outcome;
  return body();
}

}  // namespace casdisk
