// An image as a tree of chunks: what import and attachments have in common.
//
// Chunks are hashed and put on all threads, the tree grows batch by batch.
#pragma once

#include "index/image.h"
#include "index/tree.h"

namespace casdisk {

struct ImageTree {
  Tree tree;
  uint64_t size_bytes = 0;
};

// Puts all of `source`; the caller syncs the store. kInvalid: it is empty, or too large for a disk.
Result<ImageTree> put_image(ChunkStore& chunks, ImageSource& source, unsigned threads,
                            const ImageProgress& progress);

}  // namespace casdisk
