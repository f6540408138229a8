// Small files that hold secrets: mode 0600, replaced as a whole, refused where others can read
// them.
//
// Any thread, any process: two that write one file at once leave the whole of one of them.
#pragma once

#include <string>
#include <string_view>

#include "cas/os/result.h"
#include "nbd/auth/file_owner.h"

namespace casdisk {

// kNotFound; kInvalid where it belongs to somebody else than this user, root or, where this is
// root, `owner`, or anybody else may read or write it, and for what is no file; kTooLarge. The
// error says what to do.
Result<std::string> read_private_file(const std::string& path, size_t max_bytes,
                                      const FileOwner& owner = {});

// What interrupted calls have left beside `path`, with the secrets in it. REQUIRES: nobody else
// writes the file meanwhile.
void remove_unfinished(const std::string& path);
// Between the name of a file and what is random in the name that it is written under.
inline constexpr std::string_view kUnfinishedMark = ".new-";

// "." where there is no slash.
std::string directory_of(const std::string& path);

enum class IfThere { kFail, kReplace };

// Written beside `path` under a random name, synced, and put in place in one step; the directory is
// synced: durable. It belongs to `owner`. kExists with IfThere::kFail. What an error leaves is as
// before.
Result<void> write_private_file(const std::string& path, std::string_view bytes, IfThere if_there,
                                const FileOwner& owner = {});

}  // namespace casdisk
