// The module casdisk-rocksdb: stores at rocksdb:DIRECTORY.
#include "cas/kv/kv_open.h"
#include "cas/kv/rocksdb_kv.h"
#include "cas/os/module.h"

namespace casdisk {
namespace {

Result<std::unique_ptr<KvStore>> open_rocksdb(const KvUrl& url, const KvOpenOptions& options) {
  if (url.rest.empty()) return Error{Fault::kInvalid, 0, "there is no path behind the colon"};
  const bool survives_power = options.durability == KvDurability::kPower;
  TRY_ASSIGN(auto backend, RocksDbKv::open(url.rest, {.may_create = options.may_create,
                                                      .clock = options.clock,
                                                      .cache_bytes = options.cache_bytes,
                                                      .syncs_writes = survives_power}));
  return KvStore::over(std::move(backend),
                       {.name = url.whole, .on_operation = options.on_operation});
}

constexpr KvDoor kDoor = {open_rocksdb};

}  // namespace
}  // namespace casdisk

extern "C" [[gnu::visibility("default")]] const casdisk::Module casdisk_module;
const casdisk::Module casdisk_module = {CASDISK_VERSION, &casdisk::kDoor};
