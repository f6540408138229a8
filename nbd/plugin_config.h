// PluginConfig: the parameters of `nbdkit casdisk`, parsed and checked as they come.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cas/os/file_system.h"
#include "cas/os/result.h"
#include "index/names.h"
#include "nbd/auth/access_settings.h"
#include "nbd/background_seal.h"

namespace casdisk {

struct PluginConfig {
  std::string store;               // as given; empty: the default store
  std::optional<VolumeName> disk;  // unset: the client's export name chooses
  uint64_t cache_bytes = uint64_t(64) << 20;
  IoChoice io = IoChoice::kAuto;
  bool write_behind = true;
  BackgroundSealOptions sealing;
  std::string access_url;  // as given; empty: $CASDISK_ACCESS, else the store's own records
  std::string psk_file;    // as given; empty: none
};

// The least and the most that a cache may have: some index pages with their chunks, and 1 TiB.
inline constexpr uint64_t kMinCacheBytes = uint64_t(1) << 20;
inline constexpr uint64_t kMaxCacheBytes = uint64_t(1) << 40;

// What overlay-limit= takes at least, if not 0, and seal-idle= at most.
inline constexpr uint64_t kMinOverlayLimitBytes = uint64_t(1) << 20;
inline constexpr uint64_t kMaxIdleSeconds = 365 * 86400;

// `what` is what the user calls it: "cache=", "--cache".
Result<uint64_t> parse_cache_size(std::string_view value, std::string_view what);
// For BackgroundSealOptions.
Result<uint64_t> parse_overlay_limit(std::string_view value, std::string_view what);
Result<std::chrono::seconds> parse_idle_time(std::string_view value, std::string_view what);

// Takes one key=value into `config`. kInvalid says what is wrong and what would be right; `config`
// is as before then.
Result<void> set_parameter(PluginConfig& config, std::string_view key, std::string_view value);

// As the process sees it now; "" stays.
Result<std::string> absolute_path(const std::string& path);

// Where the records of users and tokens are, wherever the process goes afterwards: paths are made
// absolute. `store_path` is.
Result<AccessSettings> access_of(const PluginConfig& config, const std::string& store_path);

// The text under "nbdkit casdisk --help".
extern const char* const kPluginConfigHelp;

}  // namespace casdisk
