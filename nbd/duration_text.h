// Times as people write them: "90s", "15m", "12h", "30d".
#pragma once

#include <cstdint>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

// In milliseconds: a whole number with ms, s, m, h, d or w. kInvalid, naming `what`, for anything
// else and for what does not fit.
Result<uint64_t> parse_duration(std::string_view text, std::string_view what);

}  // namespace casdisk
