#include "nbd/plugin_config.h"

#include <fmt/format.h>

#include "nbd/size_text.h"

namespace casdisk {

const char* const kPluginConfigHelp =
    "[store=]DIR             The store: a directory made by `casdisk init`.\n"
    "                        (default: $CASDISK_STORE, else ~/.local/share/casdisk,\n"
    "                        for root /var/lib/casdisk)\n"
    "disk=NAME[@CHECKPOINT]  Serve this disk alone, or one checkpoint of it read-only.\n"
    "                        Without it every disk of the store is served and the\n"
    "                        client's export name chooses: NAME or NAME@CHECKPOINT.\n"
    "cache=SIZE              Memory for chunks in use, of all disks together.\n"
    "                        (default: 64M)\n"
    "io=auto|uring|posix     How files are read and written. (default: auto, that is\n"
    "                        io_uring where the kernel has it)\n"
    "\n"
    "A disk has one writer: while this server has it open, `casdisk` and other servers\n"
    "are told \"busy\". `casdisk serve` runs this plugin and restarts it when it dies.";

namespace {

Error invalid(std::string context) { return Error{Fault::kInvalid, 0, std::move(context)}; }

}  // namespace

Result<uint64_t> parse_cache_size(std::string_view value, std::string_view what) {
  TRY_ASSIGN(uint64_t bytes, parse_size(value, what));
  if (bytes >= kMinCacheBytes && bytes <= kMaxCacheBytes) return bytes;
  return invalid(fmt::format("{} {}: from {} to {} are allowed", what, value,
                             size_text(kMinCacheBytes), size_text(kMaxCacheBytes)));
}

Result<void> set_parameter(PluginConfig& config, std::string_view key, std::string_view value) {
  if (key == "store") {
    if (value.empty()) return invalid("store= is empty: give the directory of the store");
    config.store = value;
  } else if (key == "disk") {
    TRY_ASSIGN(config.disk, parse_volume_name(value));
  } else if (key == "cache") {
    TRY_ASSIGN(config.cache_bytes, parse_cache_size(value, "cache="));
  } else if (key == "io") {
    auto choice = io_choice_from_name(value);
    if (!choice) return invalid(fmt::format("io={}: give auto, uring or posix", value));
    config.io = *choice;
  } else {
    return invalid(fmt::format(
        "unknown parameter {:?}: casdisk takes store=DIR, disk=NAME[@CHECKPOINT], cache=SIZE and "
        "io=auto|uring|posix",
        key));
  }
  return {};
}

}  // namespace casdisk
