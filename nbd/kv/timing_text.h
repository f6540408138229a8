// What an operation of a key-value store took, as a line for people. Pure functions.
#pragma once

#include <string>

#include "cas/kv/kv_store.h"

namespace casdisk {

// "conflict", "unavailable".
std::string_view fault_text(Fault fault);

// "put: 0.412 ms, done, key 3 B, value 12 B, time to live 60 s, 1 record".
std::string timing_text(const KvTiming& timing);

}  // namespace casdisk
