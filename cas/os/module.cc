#include "cas/os/module.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstring>

namespace casdisk {

Result<const void*> load_module(const char* name) {
  const auto unusable = [name](std::string_view why) {
    return Error{
        Fault::kUnsupported, 0,
        fmt::format("{}.so, a part of casdisk, cannot be loaded ({}): install casdisk anew", name,
                    why)};
  };
  void* const library = ::dlopen(fmt::format("{}.so", name).c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) return unusable(::dlerror());
  const auto* module = static_cast<const Module*>(::dlsym(library, "casdisk_module"));
  if (module == nullptr) return unusable("it has no casdisk_module");
  if (std::strcmp(module->version, CASDISK_VERSION) != 0) {
    return unusable(
        fmt::format("it is of casdisk {}, this is {}", module->version, CASDISK_VERSION));
  }
  return module->door;
}

}  // namespace casdisk
