// Which pool of Hyper-V, where, and under which limits: "guest", "0@/tmp/pools?limits=wire".
#pragma once

#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

// Of the records that are written; whatever is there can be read and removed.
enum class HypervLimits {
  kSafe,  // what arrives at the host whole: 254 and 1022 bytes of UTF-8
  kWire,  // what the file holds: 512 and 2048 bytes. The kernel cuts what the host gets of it
};

inline constexpr const char* kHypervDirectory = "/var/lib/hyperv";

struct HypervLocation {
  int pool = 0;
  std::string directory = kHypervDirectory;
  HypervLimits limits = HypervLimits::kSafe;

  std::string file_name() const;  // ".kvp_pool_1"
  std::string path() const { return directory + "/" + file_name(); }
};

// "POOL", a name or its number, "POOL@DIR", with "?limits=safe" or "?limits=wire" behind it.
// kInvalid says what is wrong, with the names that there are.
Result<HypervLocation> parse_hyperv_location(std::string_view text);

// external, guest, auto, auto-external, auto-internal or 0..4.
Result<int> parse_hyperv_pool(std::string_view name);
Result<HypervLimits> parse_hyperv_limits(std::string_view name);
std::string_view hyperv_pool_name(int pool);

}  // namespace casdisk
