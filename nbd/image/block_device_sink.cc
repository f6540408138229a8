#include "nbd/image/block_device_sink.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "cas/os/posix_file.h"

namespace casdisk {

Result<std::unique_ptr<BlockDeviceSink>> BlockDeviceSink::open(const std::string& path,
                                                               uint64_t size_bytes) {
  int descriptor = ::open(path.c_str(), O_RDWR | O_EXCL | O_CLOEXEC);
  if (descriptor < 0 && errno == EBUSY) {
    return Error{Fault::kBusy, 0, path + " is in use, mounted perhaps; release it first"};
  }
  if (descriptor < 0) return os_error(errno, path);
  auto device = std::make_unique<PosixFile>(descriptor, path);
  TRY_ASSIGN(uint64_t device_bytes, device->size());
  if (device_bytes < size_bytes) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("{} has {} bytes, too few for the {} of the disk", path, device_bytes,
                             size_bytes)};
  }
  return std::unique_ptr<BlockDeviceSink>(new BlockDeviceSink(std::move(device)));
}

Result<void> BlockDeviceSink::write(uint64_t offset, std::span<const std::byte> bytes) {
  return device_->write(offset, bytes);
}

Result<void> BlockDeviceSink::zero(uint64_t offset, uint64_t length) {
  // On a device this writes zeros by the device's own means, or fails and changes nothing.
  if (device_->punch(offset, length).ok()) return {};
  const Bytes zeros(std::min<uint64_t>(length, kPieceBytes));
  for (uint64_t done = 0; done < length;) {
    uint64_t count = std::min<uint64_t>(zeros.size(), length - done);
    TRY(device_->write(offset + done, std::span(zeros).first(count)));
    done += count;
  }
  return {};
}

}  // namespace casdisk
