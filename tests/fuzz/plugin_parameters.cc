// Parameters of the plugin, key=value: what is refused changes nothing, what is taken is in bounds.
#include "nbd/plugin_config.h"
#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

bool is_default(const PluginConfig& config) {
  static const PluginConfig fresh;
  return config.store == fresh.store && !config.disk && config.cache_bytes == fresh.cache_bytes &&
         config.io == fresh.io &&
         config.sealing.overlay_limit_bytes == fresh.sealing.overlay_limit_bytes &&
         config.sealing.idle == fresh.sealing.idle && config.access_url == fresh.access_url &&
         config.psk_file == fresh.psk_file;
}

void run(std::string_view text) {
  const size_t at = text.find('=');
  if (at == text.npos) return;
  PluginConfig config;
  auto set = set_parameter(config, text.substr(0, at), text.substr(at + 1));
  if (!set.ok()) {
    CHECK(set.error().fault == Fault::kInvalid && !set.error().context.empty());
    CHECK(is_default(config));
    return;
  }
  CHECK(config.cache_bytes >= kMinCacheBytes && config.cache_bytes <= kMaxCacheBytes);
  CHECK(!config.disk || check_name(config.disk->disk, "disk").ok());
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::run(casdisk::FuzzInput(data, size).rest_text());
  return 0;
}
