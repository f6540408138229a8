// BlockDeviceSink: an existing block device, overwritten in place; zeros are written, as discards
// where the device promises zeros for them. Safe from any thread.
#pragma once

#include <memory>
#include <string>

#include "cas/os/file.h"
#include "index/image.h"

namespace casdisk {

class BlockDeviceSink : public ImageSink {
 public:
  // Keeps mounts and others who open exclusively out while it lives, and is kept out by them:
  // kBusy. kInvalid when the device has fewer than `size_bytes`.
  static Result<std::unique_ptr<BlockDeviceSink>> open(const std::string& path,
                                                       uint64_t size_bytes);

  bool is_sequential() const override { return false; }
  Result<void> write(uint64_t offset, std::span<const std::byte> bytes) override;
  Result<void> zero(uint64_t offset, uint64_t length) override;
  Result<void> finish() override { return device_->sync(); }

 private:
  explicit BlockDeviceSink(std::unique_ptr<File> device) : device_(std::move(device)) {}

  std::unique_ptr<File> device_;
};

}  // namespace casdisk
