// open_image_source: what SRC of `casdisk import` means.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cas/os/file.h"
#include "index/image.h"

namespace casdisk {

struct OpenedSource {
  std::unique_ptr<ImageSource> source;
  std::string format;         // "raw", "qcow2", ..., "nbd"
  bool was_detected = false;  // by the file's first bytes, and it is not raw
};

// "-" is stdin, an NBD URI its export, everything else a path. `format` unset: a file is what its
// first bytes say, a block device, whose first bytes belong to whoever wrote to it, is raw. Formats
// other than raw are read through qemu-nbd. `stop` ends waiting for pipes and servers.
Result<OpenedSource> open_image_source(FileSystem& file_system, const std::string& text,
                                       const std::optional<std::string>& format,
                                       const std::function<bool()>& stop);

}  // namespace casdisk
