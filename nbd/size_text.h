// Sizes as people write them ("10G", "512") and as they read them ("1.5T"), and counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

// Disks end here: offsets must fit into a signed 64-bit number.
inline constexpr uint64_t kMaxSizeBytes = uint64_t(INT64_MAX);

// Digits, then nothing or one of K M G T P E (powers of 1024, either case, "B" and "iB" may
// follow). kInvalid, naming `what`, for anything else and for what exceeds kMaxSizeBytes.
Result<uint64_t> parse_size(std::string_view text, std::string_view what);

// The shortest exact or one-decimal form: "10G", "1.5G", "512".
std::string size_text(uint64_t bytes);

// "1 disk", "2 disks".
std::string plural(uint64_t count, std::string_view noun);

}  // namespace casdisk
