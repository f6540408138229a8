// The module casdisk-etcd: stores at etcd://HOST, and the HTTP that they speak.
#include <fmt/format.h>

#include "cas/kv/kv_open.h"
#include "cas/os/module.h"
#include "remotes/kv/etcd_kv.h"
#include "remotes/kv/server_url.h"

namespace casdisk {
namespace {

constexpr uint16_t kEtcdPort = 2379;

Error invalid(std::string text) { return Error{Fault::kInvalid, 0, std::move(text)}; }

Result<std::unique_ptr<KvStore>> open_etcd(const KvUrl& whole, const KvOpenOptions& options) {
  TRY_ASSIGN(ServerUrl url, parse_server_url(whole.rest, kEtcdPort));
  if (url.servers.empty()) return invalid("a server is wanted, etcd://HOST:PORT");
  if (!url.user.empty() || !url.password.empty()) {
    return invalid("users of etcd are not supported; protect its port by other means");
  }
  EtcdKvOptions etcd;
  etcd.address.name = whole.whole;
  etcd.address.members = std::move(url.servers);
  if (url.path.size() > 1) etcd.prefix = url.path.substr(1) + "/";
  if (etcd.prefix.size() > kMaxPrefixBytes) {
    return invalid(fmt::format("the prefix: {} bytes at most", kMaxPrefixBytes));
  }
  TRY_ASSIGN(etcd.address.timeout, take_timeout(url, etcd.address.timeout));
  TRY(expect_no_more_options(url));
  etcd.may_create = options.may_create;
  TRY_ASSIGN(auto backend, EtcdKv::open(etcd));
  return KvStore::over(std::move(backend),
                       {.name = whole.whole, .on_operation = options.on_operation});
}

constexpr KvDoor kDoor = {open_etcd};

}  // namespace
}  // namespace casdisk

extern "C" [[gnu::visibility("default")]] const casdisk::Module casdisk_module;
const casdisk::Module casdisk_module = {CASDISK_VERSION, &casdisk::kDoor};
