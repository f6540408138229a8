// Names of disks and checkpoints, and `disk@checkpoint` as users write it.
#pragma once

#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

inline constexpr size_t kMaxNameBytes = 128;

// Letters, digits, '.', '_', '-', ':' and '+', beginning with a letter or a digit. kInvalid says
// which rule was broken; `what` is "disk" or "checkpoint".
Result<void> check_name(std::string_view name, std::string_view what);

// A disk, or one checkpoint of it.
struct VolumeName {
  std::string disk;
  std::string checkpoint;  // empty: the disk's head

  bool is_checkpoint() const { return !checkpoint.empty(); }
  std::string text() const { return is_checkpoint() ? disk + "@" + checkpoint : disk; }
};

Result<VolumeName> parse_volume_name(std::string_view text);

}  // namespace casdisk
