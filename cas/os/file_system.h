// make_file_system: which implementation of the I/O seam a process uses (option io=).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cas/os/file.h"

namespace casdisk {

enum class IoChoice {
  kAuto,   // rings where the kernel allows them, else plain calls
  kUring,  // rings, or an error
  kPosix,  // plain calls
};

// "auto", "uring" or "posix".
std::optional<IoChoice> io_choice_from_name(std::string_view name);

// kUnsupported when kUring is asked for and there is no ring. kAuto falls back and leaves one line
// that says why in `*note`, which is otherwise emptied; `note` may be nullptr.
Result<std::unique_ptr<FileSystem>> make_file_system(IoChoice choice, std::string* note);

}  // namespace casdisk
