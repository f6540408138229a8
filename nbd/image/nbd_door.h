// NbdDoor: exports of NBD servers as images, the door of the module casdisk-libnbd
// (cas/os/module.h). How they are read and written: nbd_client.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "index/image.h"

namespace casdisk {

struct NbdDoor {
  using Stop = std::function<bool()>;

  Result<std::unique_ptr<ImageSource>> (*source_of_uri)(const std::string& uri, Stop stop);
  // Of a server that is started, and ends with the source; `name` is what messages call it.
  Result<std::unique_ptr<ImageSource>> (*source_of_command)(std::vector<std::string> command,
                                                            const std::string& name, Stop stop);
  // kInvalid when the export is read-only or has fewer than `size_bytes`.
  Result<std::unique_ptr<ImageSink>> (*sink_of_uri)(const std::string& uri, uint64_t size_bytes,
                                                    Stop stop);
};

Result<const NbdDoor*> nbd_door();

}  // namespace casdisk
