// A checkpoint of several disks, some of which servers have and some nobody.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "index/disk.h"
#include "index/store.h"

namespace casdisk {

struct GroupCheckpoint {
  std::vector<std::string> disks;  // each once
  CutRequest cut;
  unsigned threads = 1;
  bool wait = false;  // until the servers have sealed theirs, too
};

// What nobody serves is sealed on return. Gives how long writes were held. kExists: one of the
// disks has that checkpoint, and none got it.
Result<std::chrono::microseconds> make_group_checkpoint(Store& store, const GroupCheckpoint& group);

}  // namespace casdisk
