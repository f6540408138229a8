// The id under which Azure knows the virtual machine that this is.
#pragma once

#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

// The firmware's UUID, in lower case. A machine of the first generation, without EFI, has its first
// three fields in the other byte order. `root` is where /sys and /dev are. kNotFound where the
// firmware has none, kIo where it may not be read (it is root's), kDamaged where it is no UUID; the
// error says what to do.
Result<std::string> read_vm_id(const std::string& root = "");

// "00112233-4455-6677-8899-aabbccddeeff" to "33221100-5544-7766-8899-aabbccddeeff". REQUIRES:
// is_uuid().
std::string swap_uuid_fields(std::string_view uuid);
bool is_uuid(std::string_view text);

}  // namespace casdisk
