// The file `losses` of a store: what repair could not mend, in lines that people and scripts read.
//
// Written as a whole by each repair of the whole store, and removed by one that finds nothing lost.
// Nothing is decided by it: it is there so that no loss is silent.
#pragma once

#include <optional>
#include <string>

#include "index/store.h"
#include "index/verify.h"

namespace casdisk {

// Pure: the text of the file, at most some MiB.
std::string losses_text(const VerifyReport& report);

// Durable on return. A repair of one volume alone makes the file where there is none, and leaves
// one that is there as it is: it may tell of other volumes.
Result<void> note_losses(Store& store, const VerifyReport& report, bool is_of_one_volume);

// The first line that says what was lost; nothing when there is no such file.
Result<std::optional<std::string>> noted_losses(Store& store);

}  // namespace casdisk
