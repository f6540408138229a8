// Loads, and has no casdisk_module.
extern "C" [[gnu::visibility("default")]] const int not_casdisk_module;
const int not_casdisk_module = 1;
