// The store that is meant when nobody names one; the same for the command and the plugin.
#pragma once

#include <string>

#include "cas/os/result.h"

namespace casdisk {

// What the choice depends on; an unset variable is an empty string.
struct StoreEnvironment {
  std::string casdisk_store;  // $CASDISK_STORE
  std::string home;           // $HOME
  bool is_root = false;

  static StoreEnvironment of_this_process();
};

// $CASDISK_STORE, else /var/lib/casdisk for root and ~/.local/share/casdisk for everybody else.
// kInvalid when there is no home either.
Result<std::string> default_store_path(const StoreEnvironment& environment);

}  // namespace casdisk
