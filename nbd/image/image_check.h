// check_image: whether an image file that is not raw is whole.
//
// A download that was cut short opens without complaint, and qemu reads what lies beyond the end of
// the file as zeros. Its own checker sees that for the formats which it can check.
#pragma once

#include <functional>
#include <string>

#include "cas/os/result.h"

namespace casdisk {

// The program's path if it is in $PATH; kUnsupported names the Debian package that has it.
Result<std::string> find_qemu_tool(const std::string& program);

// Runs `qemu-img check`. kDamaged when it finds errors; lost space is none, and a format that
// cannot be checked passes. Ends soon after `stop` became true, with EINTR.
Result<void> check_image(const std::string& path, const std::string& format,
                         const std::function<bool()>& stop);

}  // namespace casdisk
