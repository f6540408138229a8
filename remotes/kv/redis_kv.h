// RedisKv: a store in a Redis server (6.2 or later, or Valkey), under a prefix of its own.
//
// A record is a string beside a sorted set of all keys, which lists need; every change is one
// script (redis_scripts.h), so that both change together and nobody sees a half. Records expire
// natively.
//
// Durable as far as the server is: is_durable() says whether it syncs its log before it answers. A
// connection that breaks is kUnavailable; the next call opens another. What Redis replicates, it
// replicates later: behind a failover, acknowledged writes may be missing.
#pragma once

#include <map>
#include <memory>

#include "cas/kv/kv_backend.h"
#include "remotes/kv/redis_client.h"

namespace casdisk {

struct RedisKvOptions {
  RedisAddress address;
  std::string prefix = "casdisk:";  // of the names of all that it keeps
  bool may_create = true;
  bool must_be_durable = false;  // else kUnsupported, with what to set
};

class RedisKv : public KvBackend {
 public:
  // A batch's limits bound how long one script keeps the server from others: tens of milliseconds.
  static constexpr KvLimits kLimits = {.key_bytes = 4096,
                                       .value_bytes = size_t(32) << 20,
                                       .operation_count = 4096,
                                       .write_bytes = size_t(64) << 20};
  static constexpr KvCapabilities kCapabilities =
      KvCapability::kVersions | KvCapability::kBatch | KvCapability::kTtl | KvCapability::kLoad |
      KvCapability::kDurable | KvCapability::kShared | KvCapability::kServerClock;
  // A load is one script, too; what is larger is kTooLarge.
  static constexpr size_t kMaxLoadCount = size_t(64) << 10;
  static constexpr uint64_t kMaxLoadBytes = uint64_t(128) << 20;

  // kNotFound where there is no store and none may be made, kUnsupported where it has another form.
  static Result<std::unique_ptr<RedisKv>> open(const RedisKvOptions& options);

  // Whether the server's configuration, when it was opened, was such that what it acknowledges is
  // there after a power cut and is not evicted. False where it does not say.
  bool is_durable() const { return durability_problem_.empty(); }

  Result<std::optional<KvValue>> get(std::string_view key) override;
  Result<bool> exists(std::string_view key) override;
  Result<std::optional<KvValue>> get_range(std::string_view key, uint64_t offset,
                                           size_t bytes) override;
  Result<KvSlice> list(const KvListRequest& request) override;
  Result<std::vector<KvOutcome>> write(const KvWrite& write) override;
  Result<void> dump(const Visit& visit) override;
  Result<void> load(std::span<const KvRecord> records) override;
  Result<void> truncate() override;
  Result<uint64_t> sweep() override;
  Result<KvStats> stats() override;

 private:
  explicit RedisKv(const RedisKvOptions& options);
  Result<void> check_form(bool may_create);
  Result<std::map<std::string, std::string>> config(std::string_view pattern);
  Result<std::string> find_durability_problem();
  Result<void> replace(std::span<const KvRecord> records);
  Result<RedisReply> run(const RedisScript& script, std::span<const std::string_view> arguments,
                         const RedisClient::How& how);
  std::string record_name(std::string_view key) const { return records_ + std::string(key); }
  Error unexpected(std::string_view what) const;

  // Fixed after open(), but for what the client guards itself.
  RedisClient client_;
  const std::string form_, index_, expiries_, counter_, records_;  // names in the server
  RedisScript write_, list_, range_, load_, sweep_;
  std::string durability_problem_;
};

}  // namespace casdisk
