#include "nbd/plugin_config.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>

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
    "overlay-limit=SIZE      Unsealed bytes of a disk beyond which they are sealed in the\n"
    "                        background, 0 for no limit. (default: 4G)\n"
    "seal-idle=SECONDS       Seal a disk that nobody has written to for so long, 0 for\n"
    "                        never. (default: 30)\n"
    "write-behind=yes|no     Whether what guests write is written out before they flush it. With\n"
    "                        \"no\" they write faster, and a flush or a checkpoint after that\n"
    "                        waits for all of it. (default: yes)\n"
    "access=URL              The records of users and tokens: lmdb:DIR, rocksdb:DIR,\n"
    "                        redis://HOST, etcd://HOST. (default: $CASDISK_ACCESS, else\n"
    "                        lmdb:STORE/access, once `casdisk user add` has made it)\n"
    "psk-file=PATH           The file that --tls-psk names: written anew from those\n"
    "                        records before each handshake.\n"
    "\n"
    "A disk has one writer: while this server has it open, other servers are told \"busy\",\n"
    "and `casdisk` asks this one for what it needs. `casdisk serve` runs this plugin and restarts "
    "it when it dies.";

namespace {

Error invalid(std::string context) { return Error{Fault::kInvalid, 0, std::move(context)}; }

// "lmdb:DIR" with DIR absolute; what is no path of this machine stays as it is.
Result<std::string> absolute_kv_url(const std::string& url) {
  for (const std::string& scheme : {std::string("lmdb:"), std::string("rocksdb:")}) {
    if (!url.starts_with(scheme)) continue;
    TRY_ASSIGN(const std::string path, absolute_path(url.substr(scheme.size())));
    return scheme + path;
  }
  return url;
}

}  // namespace

Result<std::string> absolute_path(const std::string& path) {
  if (path.empty()) return path;
  std::error_code failure;
  auto absolute = std::filesystem::absolute(path, failure);
  if (failure) return os_error(failure.value(), path);
  return absolute.lexically_normal().string();
}

Result<AccessSettings> access_of(const PluginConfig& config, const std::string& store_path) {
  AccessSettings settings = access_settings(store_path, config.access_url);
  TRY_ASSIGN(settings.url, absolute_kv_url(settings.url));
  TRY_ASSIGN(settings.key_path, absolute_path(settings.key_path));
  return settings;
}

Result<uint64_t> parse_cache_size(std::string_view value, std::string_view what) {
  TRY_ASSIGN(uint64_t bytes, parse_size(value, what));
  if (bytes >= kMinCacheBytes && bytes <= kMaxCacheBytes) return bytes;
  return invalid(fmt::format("{} {}: from {} to {} are allowed", what, value,
                             size_text(kMinCacheBytes), size_text(kMaxCacheBytes)));
}

Result<uint64_t> parse_overlay_limit(std::string_view value, std::string_view what) {
  TRY_ASSIGN(uint64_t bytes, parse_size(value, what));
  if (bytes == 0 || bytes >= kMinOverlayLimitBytes) return bytes;
  return invalid(fmt::format("{} {}: give 0 for none, or at least {}", what, value,
                             size_text(kMinOverlayLimitBytes)));
}

Result<std::chrono::seconds> parse_idle_time(std::string_view value, std::string_view what) {
  uint64_t seconds = 0;
  const char* end = value.data() + value.size();
  auto parsed = std::from_chars(value.data(), end, seconds);
  if (parsed.ec == std::errc() && parsed.ptr == end && seconds <= kMaxIdleSeconds) {
    return std::chrono::seconds(seconds);
  }
  return invalid(fmt::format("{} {}: give whole seconds, 0 for never", what, value));
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
  } else if (key == "overlay-limit") {
    TRY_ASSIGN(config.sealing.overlay_limit_bytes, parse_overlay_limit(value, "overlay-limit="));
  } else if (key == "seal-idle") {
    TRY_ASSIGN(config.sealing.idle, parse_idle_time(value, "seal-idle="));
  } else if (key == "write-behind") {
    if (value != "yes" && value != "no") {
      return invalid(fmt::format("write-behind={}: give yes or no", value));
    }
    config.write_behind = value == "yes";
  } else if (key == "access") {
    if (value.empty()) return invalid("access= is empty: give a URL, as lmdb:DIR");
    config.access_url = value;
  } else if (key == "psk-file") {
    if (value.empty()) return invalid("psk-file= is empty: give the path that --tls-psk has");
    config.psk_file = value;
  } else {
    return invalid(fmt::format(
        "unknown parameter {:?}: casdisk takes store=DIR, disk=NAME[@CHECKPOINT], cache=SIZE, "
        "io=auto|uring|posix, overlay-limit=SIZE, seal-idle=SECONDS, write-behind=yes|no, "
        "access=URL "
        "and psk-file=PATH",
        key));
  }
  return {};
}

}  // namespace casdisk
