// Seal: turns one frozen generation into chunks and a new tree.
//
// Reads through `layers`, puts chunks and pages, changes nothing else: interrupted, it is begun
// anew, and what was put is found again. Who publishes the result syncs the chunk store first.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "index/layers.h"

namespace casdisk {

// Called with the dirty bytes sealed so far, from any thread.
using SealProgress = std::function<void(uint64_t bytes)>;

enum class Urgency {
  kNow,         // somebody waits for it
  kBackground,  // stops for one that is kNow
};

enum class SealEnd { kDone, kStopped };

struct SealOptions {
  unsigned threads = 1;
  Urgency urgency = Urgency::kNow;
  SealProgress progress = [](uint64_t) {};
  std::function<bool()> stop = [] { return false; };  // asked between chunks, from any thread
};

// `layers` has the generation to seal as its only one, with all that is below. A chunk whose base
// cannot be read is an error that names it, after all others have been put. Nothing when stopped.
Result<std::optional<Tree>> seal_generation(const Layers& layers, const SealOptions& options);

}  // namespace casdisk
