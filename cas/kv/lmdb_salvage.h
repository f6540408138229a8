// Reading an LMDB environment that may be damaged.
//
// LMDB reads its file through a mapping and believes what it finds there: a damaged file can end
// the process that reads it (docs/decisions/0006). So a child process reads, and sends what it
// finds; whatever becomes of it, the parent has what came before.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "cas/os/result.h"

namespace casdisk {

struct Salvage {
  bool is_complete = false;  // everything under the prefix was read
  std::string end;           // else why not
};

// Calls `visit` with the keys that start with `prefix` and their values, in order, as far as they
// can be read; none of it is checked. An error is this process's own, or visit's. REQUIRES: this
// process does not have the environment open, and no other writes to it.
Result<Salvage> salvage(const std::string& directory, std::span<const std::byte> prefix,
                        const std::function<Result<void>(std::span<const std::byte> key,
                                                         std::span<const std::byte> value)>& visit);

}  // namespace casdisk
