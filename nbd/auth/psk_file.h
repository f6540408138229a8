// The file that `nbdkit --tls-psk` reads, which it does anew for each handshake.
#pragma once

#include <string>

#include "cas/os/result.h"
#include "nbd/auth/file_owner.h"

namespace casdisk {

// With mode 0600, in one step (a reader sees the old file or the new one), durable. Nothing is done
// where it has that text already; whether something was.
Result<bool> write_psk_file(const std::string& path, const std::string& text,
                            const FileOwner& owner = {});

}  // namespace casdisk
