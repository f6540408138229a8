// RedisClient: commands to one Redis server over a few connections, which it opens as they are
// needed and opens anew when they are lost.
//
// Safe to call from any thread; a command waits while all connections are in use. Nothing is open
// before the first command, nor after a fork in the child's interest: make it behind the fork.
#pragma once

#include <optional>

#include "remotes/connection_pool.h"
#include "remotes/kv/redis_connection.h"

namespace casdisk {

inline constexpr size_t kMaxRedisConnections = 16;

// A script for EVALSHA: its text and, once the server has said it, its name there.
struct RedisScript {
  std::string text;
  std::string hash = {};
};

class RedisClient {
 public:
  // What may be done when a connection breaks and nobody knows whether the command was carried out.
  enum class Repeat {
    kNever,    // kUnavailable; one that was surely not carried out is sent again
    kOnceMore  // it changes nothing, or nothing the second time
  };
  struct How {
    Repeat repeat = Repeat::kNever;
    std::optional<std::chrono::milliseconds> timeout = {};  // instead of the address's
  };

  explicit RedisClient(RedisAddress address) : address_(std::move(address)) {}

  const std::string& name() const { return address_.name; }

  // Never a reply of kError: what it means is returned (redis_error()).
  Result<RedisReply> call(std::span<const std::string_view> arguments, const How& how);
  // The server's name for a script.
  Result<std::string> load_script(const std::string& text);
  // Runs a script by its hash, or by its text where the server does not know it (any more).
  Result<RedisReply> run(const RedisScript& script, std::span<const std::string_view> keys,
                         std::span<const std::string_view> arguments, const How& how);

 private:
  Result<std::unique_ptr<RedisConnection>> take();
  // kError replies included.
  Result<RedisReply> call_raw(std::span<const std::string_view> arguments, const How& how);

  // Fixed after construction.
  const RedisAddress address_;

  ConnectionPool<RedisConnection> pool_{kMaxRedisConnections};
};

}  // namespace casdisk
