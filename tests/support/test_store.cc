#include "tests/support/test_store.h"

namespace casdisk {

TestStore::TestStore(Codec codec) : path_(directory_.path() + "/store") {
  must(Store::init(path_, codec));
  reopen();
}

void TestStore::reopen(std::shared_ptr<FileSystem> file_system) {
  store_.reset();
  StoreOptions options;
  options.io = IoChoice::kPosix;
  options.reserve_bytes = uint64_t(1) << 20;  // made for each test, on a file system in memory
  options.file_system = std::move(file_system);
  store_ = must(Store::open(path_, options));
}

Bytes contents(Volume& volume) {
  Bytes bytes(volume.size_bytes());
  must(volume.read(0, bytes));
  return bytes;
}

}  // namespace casdisk
