// Attachments: opaque files kept with a checkpoint, such as a VM's memory image, chunked and stored
// like a disk.
#pragma once

#include <memory>
#include <string>

#include "index/checkpoint_view.h"
#include "index/image.h"
#include "index/store.h"

namespace casdisk {

// Puts and syncs the content of `source`. The caller is in a write session, until a checkpoint with
// the attachment is recorded. kInvalid: the name is none, or the source is empty.
Result<Attachment> store_attachment(Store& store, ImageSource& source, const std::string& name,
                                    unsigned threads, const ImageProgress& progress);

// The attachment `name` of a checkpoint, read-only; its volume's name is "disk@checkpoint:name".
// kNotFound lists what there is.
Result<std::shared_ptr<Volume>> open_attachment(Store& store, const VolumeName& checkpoint,
                                                const std::string& name);

}  // namespace casdisk
