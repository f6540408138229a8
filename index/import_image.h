// Importing an image: chunks are hashed and put on all threads, the tree grows batch by batch, and
// one transaction at the end makes the disk. Interrupted, nothing of it shows; chunks that were
// stored are found again by the next attempt.
#pragma once

#include <string>

#include "index/image.h"
#include "index/store.h"

namespace casdisk {

inline constexpr const char* kImportCheckpoint = "import";

// Makes disk `name` with the checkpoint `name`@import. kExists: the name is taken, checked first
// and last.
Result<void> import_image(Store& store, ImageSource& source, const std::string& name,
                          unsigned threads, const ImageProgress& progress);

}  // namespace casdisk
