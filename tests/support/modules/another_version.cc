#include "cas/os/module.h"

extern "C" [[gnu::visibility("default")]] const casdisk::Module casdisk_module;
const casdisk::Module casdisk_module = {"0.0.0", nullptr};
