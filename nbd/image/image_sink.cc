#include "nbd/image/image_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "nbd/image/block_device_sink.h"
#include "nbd/image/image_format.h"
#include "nbd/image/nbd_door.h"
#include "nbd/image/stream_sink.h"

namespace casdisk {
namespace {

using Sink = std::unique_ptr<ImageSink>;

Result<Sink> open_stdout() {
  if (::isatty(STDOUT_FILENO) == 1) {
    return Error{Fault::kInvalid, 0, "stdout is a terminal; redirect it or name a file"};
  }
  return Sink(
      std::make_unique<StreamSink>(STDOUT_FILENO, StreamSink::Ownership::kBorrowed, "stdout"));
}

Result<Sink> open_stream(const std::string& path) {
  int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return os_error(errno, path);
  return Sink(std::make_unique<StreamSink>(descriptor, StreamSink::Ownership::kOwned, path));
}

}  // namespace

Result<Sink> open_image_sink(FileSystem& file_system, const std::string& text, uint64_t size_bytes,
                             IfExists if_exists, const std::function<bool()>& stop) {
  if (text == "-") return open_stdout();
  if (is_nbd_uri(text)) {
    TRY_ASSIGN(const NbdDoor* nbd, nbd_door());
    return nbd->sink_of_uri(text, size_bytes, stop);
  }
  if (text.empty()) {
    return Error{Fault::kInvalid, 0, "DEST is empty: name a file, a device, - or an NBD URI"};
  }
  struct stat status;
  if (::stat(text.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      return Error{Fault::kInvalid, 0, text + " is a directory; name a file in it"};
    }
    if (S_ISBLK(status.st_mode)) {
      TRY_ASSIGN(auto sink, BlockDeviceSink::open(text, size_bytes));
      return Sink(std::move(sink));
    }
    if (!S_ISREG(status.st_mode)) return open_stream(text);
  }
  TRY_ASSIGN(auto sink, RawFileSink::create(file_system, text, size_bytes, if_exists));
  return Sink(std::move(sink));
}

}  // namespace casdisk
