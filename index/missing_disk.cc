#include "index/missing_disk.h"

#include <fmt/format.h>

namespace casdisk {

Error no_disk_named(const std::string& disk) {
  return Error{Fault::kNotFound, 0, fmt::format("no disk named {}; `casdisk ls` lists them", disk)};
}

}  // namespace casdisk
