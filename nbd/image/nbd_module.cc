// The module casdisk-libnbd: images that NBD servers have.
#include "cas/os/module.h"
#include "nbd/image/nbd_door.h"
#include "nbd/image/nbd_image.h"
#include "nbd/image/nbd_sink.h"

namespace casdisk {
namespace {

using Source = std::unique_ptr<ImageSource>;
using Sink = std::unique_ptr<ImageSink>;

Result<Source> source_of_uri(const std::string& uri, NbdDoor::Stop stop) {
  TRY_ASSIGN(auto client, NbdClient::connect_uri(uri, std::move(stop)));
  return Source(std::make_unique<NbdImage>(std::move(client)));
}

Result<Source> source_of_command(std::vector<std::string> command, const std::string& name,
                                 NbdDoor::Stop stop) {
  TRY_ASSIGN(auto client, NbdClient::connect_command(std::move(command), name, std::move(stop)));
  return Source(std::make_unique<NbdImage>(std::move(client)));
}

Result<Sink> sink_of_uri(const std::string& uri, uint64_t size_bytes, NbdDoor::Stop stop) {
  TRY_ASSIGN(auto client, NbdClient::connect_uri(uri, std::move(stop)));
  TRY_ASSIGN(auto sink, NbdSink::open(std::move(client), size_bytes));
  return Sink(std::move(sink));
}

constexpr NbdDoor kDoor = {source_of_uri, source_of_command, sink_of_uri};

}  // namespace
}  // namespace casdisk

extern "C" [[gnu::visibility("default")]] const casdisk::Module casdisk_module;
const casdisk::Module casdisk_module = {CASDISK_VERSION, &casdisk::kDoor};
