// Replacing a small file as a whole: after a crash the old one is there, or the new one.
#pragma once

#include <span>
#include <string_view>

#include "cas/os/file.h"

namespace casdisk {

// Writes `bytes` as `<name>.new`, syncs it, renames it to `name` and syncs the directory: durable
// on return (FORMAT.md, rule 7). What an interrupted call left is overwritten.
Result<void> replace_file(Directory& directory, std::string_view name,
                          std::span<const std::byte> bytes);

}  // namespace casdisk
