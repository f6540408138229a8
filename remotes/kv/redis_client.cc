#include "remotes/kv/redis_client.h"

namespace casdisk {

// An idle connection, one that is still good if there is any, or a new one.
Result<std::unique_ptr<RedisConnection>> RedisClient::take() {
  TRY_ASSIGN(auto idle, pool_.take(address_.name, address_.timeout,
                                   [](const RedisConnection& one) { return !one.is_stale(); }));
  if (idle) return idle;
  auto opened = RedisConnection::open(address_);
  if (!opened.ok()) pool_.give_back(nullptr);
  return opened;
}

Result<RedisReply> RedisClient::call_raw(std::span<const std::string_view> arguments,
                                         const How& how) {
  for (bool is_second_try = false;; is_second_try = true) {
    TRY_ASSIGN(auto connection, take());
    connection->set_timeout(how.timeout.value_or(address_.timeout));
    auto reply = connection->command(arguments);
    const bool may_have_run = connection->may_have_run();
    if (connection->is_broken()) connection = nullptr;
    pool_.give_back(std::move(connection));
    if (reply.ok() || is_second_try || reply.error().fault != Fault::kUnavailable) return reply;
    if (may_have_run && how.repeat == Repeat::kNever) return reply;
  }
}

Result<RedisReply> RedisClient::call(std::span<const std::string_view> arguments, const How& how) {
  TRY_ASSIGN(RedisReply reply, call_raw(arguments, how));
  if (reply.kind == RedisReply::Kind::kError) return redis_error(address_.name, reply);
  return reply;
}

Result<std::string> RedisClient::load_script(const std::string& text) {
  const std::string_view arguments[] = {"SCRIPT", "LOAD", text};
  TRY_ASSIGN(RedisReply reply, call(arguments, {.repeat = Repeat::kOnceMore}));
  return std::move(reply.text);
}

Result<RedisReply> RedisClient::run(const RedisScript& script,
                                    std::span<const std::string_view> keys,
                                    std::span<const std::string_view> arguments, const How& how) {
  const std::string key_count = std::to_string(keys.size());
  std::vector<std::string_view> all = {"EVALSHA", script.hash, key_count};
  all.insert(all.end(), keys.begin(), keys.end());
  all.insert(all.end(), arguments.begin(), arguments.end());
  TRY_ASSIGN(RedisReply reply, call_raw(all, how));
  if (reply.kind == RedisReply::Kind::kError && reply.text.starts_with("NOSCRIPT")) {
    all[0] = "EVAL";
    all[1] = script.text;
    TRY_ASSIGN(reply, call_raw(all, how));
  }
  if (reply.kind == RedisReply::Kind::kError) return redis_error(address_.name, reply);
  return reply;
}

}  // namespace casdisk
