// The error of a disk that does not exist: for one, too, that somebody must not know of.
#pragma once

#include <string>

#include "cas/os/result.h"

namespace casdisk {

Error no_disk_named(const std::string& disk);  // kNotFound

}  // namespace casdisk
