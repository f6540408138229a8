// SmallMaps: the system, with tables that take little address space: valgrind has not enough for a
// store's own, and slows down with it.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "cas/machine.h"

namespace casdisk {

class SmallMaps : public SystemMachine {
 public:
  Result<std::unique_ptr<LmdbEnvironment>> open_environment(const std::string& directory,
                                                            const LmdbOptions& options) override {
    LmdbOptions small = options;
    small.map_bytes = std::min(small.map_bytes, uint64_t(1) << 30);
    return SystemMachine::open_environment(directory, small);
  }
};

}  // namespace casdisk
