#include "nbd/default_store.h"

#include <unistd.h>

#include <cstdlib>

namespace casdisk {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

StoreEnvironment StoreEnvironment::of_this_process() {
  return {variable("CASDISK_STORE"), variable("HOME"), ::geteuid() == 0};
}

Result<std::string> default_store_path(const StoreEnvironment& environment) {
  if (!environment.casdisk_store.empty()) return environment.casdisk_store;
  if (environment.is_root) return std::string("/var/lib/casdisk");
  if (environment.home.empty()) {
    return Error{Fault::kInvalid, 0,
                 "no store named: give one, or set CASDISK_STORE; HOME is not set either"};
  }
  return environment.home + "/.local/share/casdisk";
}

}  // namespace casdisk
