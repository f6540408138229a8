#include "nbd/auth/access_settings.h"

#include <cstdlib>

namespace casdisk {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string AccessSettings::actual_url() const {
  return is_default_url() ? "lmdb:" + store_path + "/access" : url;
}

std::string AccessSettings::actual_key_path() const {
  return key_path.empty() ? store_path + "/access.key" : key_path;
}

AccessSettings access_settings(const std::string& store_path, const std::string& url) {
  AccessSettings settings{.store_path = store_path};
  settings.url = url.empty() ? variable("CASDISK_ACCESS") : url;
  settings.key_path = variable("CASDISK_MASTER_KEY_FILE");
  return settings;
}

}  // namespace casdisk
