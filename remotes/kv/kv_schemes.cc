#include "remotes/kv/kv_schemes.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "remotes/kv/redis_kv.h"
#include "remotes/kv/server_url.h"

namespace casdisk {
namespace {

constexpr uint16_t kRedisPort = 6379;
constexpr uint64_t kMaxRedisDatabase = 65535;
constexpr size_t kMaxPasswordBytes = 4096;

Error invalid(std::string text) { return Error{Fault::kInvalid, 0, std::move(text)}; }

// The first line of a file: so that the password stands in no command line.
Result<std::string> read_password(const std::string& path) {
  std::ifstream file(path);
  std::string line(kMaxPasswordBytes + 1, '\0');
  file.read(line.data(), std::streamsize(line.size()));
  if (file.bad() || (file.fail() && !file.eof())) {
    return invalid(fmt::format("password_file={}: it cannot be read", path));
  }
  line.resize(size_t(file.gcount()));
  line.resize(std::min(line.find_first_of("\r\n"), line.size()));
  if (!line.empty() && line.size() <= kMaxPasswordBytes) return line;
  return invalid(fmt::format("password_file={}: the first line is the password, of 1 to {} bytes",
                             path, kMaxPasswordBytes));
}

// What both forms of the URL have.
Result<std::unique_ptr<KvStore>> open_redis_at(ServerUrl& url, RedisKvOptions& redis,
                                               const std::string& name,
                                               const KvOpenOptions& options) {
  redis.address.name = name;
  redis.address.user = url.user;
  redis.address.password = url.password;
  redis.prefix = take_option(url, "prefix", redis.prefix);
  if (redis.prefix.size() > kMaxPrefixBytes) {
    return invalid(fmt::format("prefix: {} bytes at most", kMaxPrefixBytes));
  }
  const std::string durable = take_option(url, "durable");
  if (!durable.empty() && durable != "require") return invalid("durable: require is all it can be");
  redis.must_be_durable = !durable.empty();
  TRY_ASSIGN(redis.address.timeout, take_timeout(url, redis.address.timeout));
  if (const std::string path = take_option(url, "password_file"); !path.empty()) {
    TRY_ASSIGN(redis.address.password, read_password(path));
  }
  TRY(expect_no_more_options(url));
  redis.may_create = options.may_create;
  TRY_ASSIGN(auto backend, RedisKv::open(redis));
  KvCapabilities capabilities = RedisKv::kCapabilities;
  if (!backend->is_durable()) capabilities.bits &= ~uint32_t(KvCapability::kDurable);
  return std::make_unique<KvStore>(
      std::move(backend), RedisKv::kLimits, capabilities,
      KvStoreSettings{.name = name, .on_operation = options.on_operation});
}

Result<std::unique_ptr<KvStore>> open_redis(const KvUrl& whole, const KvOpenOptions& options) {
  TRY_ASSIGN(ServerUrl url, parse_server_url(whole.rest, kRedisPort));
  if (url.servers.size() != 1) return invalid("one server is wanted, redis://HOST:PORT");
  RedisKvOptions redis;
  redis.address.host = url.servers[0].host;
  redis.address.port = url.servers[0].port;
  if (url.path.find('@') != url.path.npos) {
    return invalid("in a user's name and a password / is %2F");
  }
  if (url.path.size() > 1) {
    TRY_ASSIGN(redis.address.database, parse_number(url.path.substr(1), kMaxRedisDatabase));
  }
  return open_redis_at(url, redis, whole.whole, options);
}

Result<std::unique_ptr<KvStore>> open_redis_unix(const KvUrl& whole, const KvOpenOptions& options) {
  TRY_ASSIGN(ServerUrl url, parse_server_url(whole.rest, kRedisPort));
  if (!url.servers.empty()) return invalid("a path is wanted: three slashes, no host");
  if (url.path.size() < 2) return invalid("the path of the socket is missing");
  RedisKvOptions redis;
  redis.address.socket_path = url.path;
  TRY_ASSIGN(redis.address.database, take_number(url, "db", 0, kMaxRedisDatabase));
  return open_redis_at(url, redis, whole.whole, options);
}

}  // namespace

std::span<const KvScheme> all_kv_schemes() {
  static const std::vector<KvScheme> schemes = [] {
    const auto embedded = embedded_kv_schemes();
    std::vector<KvScheme> all(embedded.begin(), embedded.end());
    const std::string_view redis_remedy =
        "check that redis-server runs and listens there, and user and password";
    all.push_back(
        {"redis", "redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]", redis_remedy, open_redis});
    all.push_back(
        {"redis+unix", "redis+unix://[USER:PASSWORD@]/SOCKET", redis_remedy, open_redis_unix});
    all.push_back({"etcd", "etcd://HOST[:PORT][,HOST[:PORT]...][/PREFIX]",
                   "check that etcd runs and listens there, with a leader",
                   open_by_module("casdisk-etcd")});
    return all;
  }();
  return schemes;
}

}  // namespace casdisk
