// open_image_sink: what DEST of `casdisk export` means.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cas/os/file.h"
#include "index/image.h"
#include "nbd/image/raw_file_sink.h"

namespace casdisk {

// "-" is stdout, an NBD URI its export, an existing block or character device that device,
// everything else the path of a file to make. `size_bytes` is the image's.
Result<std::unique_ptr<ImageSink>> open_image_sink(FileSystem& file_system, const std::string& text,
                                                   uint64_t size_bytes, IfExists if_exists,
                                                   const std::function<bool()>& stop);

}  // namespace casdisk
