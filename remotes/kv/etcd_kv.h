// EtcdKv: a store in an etcd cluster (3.4 or later), under a prefix of its own.
//
// Linearizable and durable: etcd's majority has synced what it acknowledges. A version is the
// revision of etcd at which a record was changed last. Every change is one transaction. A record
// that expires hangs on a lease, which etcd ends by its own clock, up to a second late; the number
// of the lease says when (lease_expiry_ms()).
//
// A connection that breaks is kUnavailable; the next call opens another, to another member if need
// be.
#pragma once

#include <memory>

#include "cas/kv/kv_backend.h"
#include "remotes/kv/etcd_client.h"

namespace casdisk {

struct EtcdKvOptions {
  EtcdAddress address;
  std::string prefix = "casdisk/";  // of the names of all that it keeps
  bool may_create = true;
};

class EtcdKv : public KvBackend {
 public:
  // What etcd takes in one request (--max-request-bytes), in its own encoding.
  static constexpr size_t kMaxRequestBytes = size_t(1536) << 10;
  // Its --max-txn-ops.
  static constexpr size_t kMaxOperationCount = 128;
  static constexpr KvLimits kLimits = {.key_bytes = 4096,
                                       .value_bytes = size_t(1) << 20,
                                       .operation_count = kMaxOperationCount,
                                       .write_bytes = size_t(1280) << 10};
  // No load: etcd does not let a transaction remove a range and put a key of it.
  static constexpr KvCapabilities kCapabilities =
      KvCapability::kVersions | KvCapability::kBatch | KvCapability::kTtl | KvCapability::kDurable |
      KvCapability::kShared | KvCapability::kServerClock;

  // kNotFound where there is no store and none may be made, kUnsupported where it has another form.
  static Result<std::unique_ptr<EtcdKv>> open(const EtcdKvOptions& options);

  Result<std::optional<KvValue>> get(std::string_view key) override;
  Result<bool> exists(std::string_view key) override;
  Result<KvSlice> list(const KvListRequest& request) override;
  // kTooLarge beyond kMaxRequestBytes, conditions counted, before anything is sent.
  Result<std::vector<KvOutcome>> write(const KvWrite& write) override;
  // Of one moment, unless etcd compacts it away meanwhile.
  Result<void> dump(const Visit& visit) override;
  Result<void> truncate() override;
  Result<KvStats> stats() override;

 private:
  explicit EtcdKv(const EtcdKvOptions& options);
  Result<void> check_form(bool may_create);
  Result<EtcdRangeReply> read(const EtcdRange& range);
  // From `revision` on; 0 makes it the newest.
  Result<EtcdRangeReply> read_at(EtcdRange range, uint64_t& revision);
  Result<KvSlice> list_at(const KvListRequest& request, uint64_t& revision);

  Result<uint64_t> grant(uint64_t ttl_ms);
  Result<std::vector<uint64_t>> grant_all(std::span<const KvOperation> operations);
  void revoke(uint64_t lease);
  void revoke_all(const std::vector<uint64_t>& leases);
  void revoke_if_unused(uint64_t lease);
  Result<EtcdTxnReply> commit(const KvWrite& write, const std::vector<uint64_t>& leases,
                              size_t looked_at_count);
  Error conflict(const KvWrite& write, const EtcdTxnReply& reply) const;
  Error unexpected(std::string_view what) const;
  std::string record_name(std::string_view key) const { return records_ + std::string(key); }

  // Fixed after construction, but for what the client guards itself.
  EtcdClient client_;
  const std::string form_, records_;  // names in etcd
};

// When records on a lease of ours expire, in ms since 1970.
uint64_t lease_expiry_ms(uint64_t lease);

}  // namespace casdisk
