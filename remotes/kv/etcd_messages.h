// The messages of etcd's JSON gateway (API v3) that EtcdKv needs: pure functions.
//
// Bytes are base64, 64-bit numbers are strings, what is zero or empty is left out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cas/os/result.h"

namespace casdisk {

struct EtcdRange {
  std::string key;
  std::string end;  // of a range; empty: the key alone
  uint64_t limit = 0;
  uint64_t revision = 0;  // 0: the newest
  bool keys_only = false;
  bool count_only = false;
};

struct EtcdCompare {
  enum class Kind { kAbsent, kExists, kRevision };
  Kind kind = Kind::kAbsent;
  std::string key;
  uint64_t revision = 0;  // of kRevision: at which it was changed last
};

struct EtcdOperation {
  enum class Kind { kRange, kPut, kRemove };
  Kind kind = Kind::kRange;
  EtcdRange range = {};  // of kRange; of the others its key
  std::string_view value = {};
  uint64_t lease = 0;
};

struct EtcdRecord {
  std::string key;
  std::string value;
  uint64_t revision = 0;
  uint64_t lease = 0;
};

struct EtcdRangeReply {
  std::vector<EtcdRecord> records;
  uint64_t revision = 0;  // of the store, at which this was read
  uint64_t count = 0;     // in the range, however many are returned
  bool has_more = false;
};

struct EtcdOperationReply {
  EtcdRangeReply range;
  uint64_t removed_count = 0;
};

struct EtcdTxnReply {
  bool has_succeeded = false;
  uint64_t revision = 0;
  std::vector<EtcdOperationReply> operations;  // of the branch that was taken
};

struct EtcdStatus {
  std::string version;
  uint64_t db_bytes = 0;
  uint64_t used_bytes = 0;
};

std::string encode_etcd_range(const EtcdRange& range);
std::string encode_etcd_remove(const EtcdRange& range);
std::string encode_etcd_txn(const std::vector<EtcdCompare>& compares,
                            const std::vector<EtcdOperation>& success,
                            const std::vector<EtcdOperation>& failure);
std::string encode_etcd_grant(uint64_t lease, uint64_t ttl_seconds);
std::string encode_etcd_lease(uint64_t lease, bool with_keys);

// kDamaged for what is no such message.
Result<EtcdRangeReply> decode_etcd_range(std::string_view text);
Result<EtcdTxnReply> decode_etcd_txn(std::string_view text);
Result<EtcdStatus> decode_etcd_status(std::string_view text);
// How many keys are attached to a lease.
Result<uint64_t> decode_etcd_lease_keys(std::string_view text);

// What the gateway says when it refuses: a code of gRPC and a text.
struct EtcdRefusal {
  int code = 0;
  std::string text;
};
inline constexpr int kEtcdNotFound = 5;      // a lease
inline constexpr int kEtcdPrecondition = 9;  // a lease of that number is there already
inline constexpr int kEtcdOutOfRange = 11;   // a revision that was compacted away
inline constexpr int kEtcdUnavailable = 14;  // no leader, a broken stream, or the server stops
EtcdRefusal decode_etcd_refusal(int http_status, std::string_view text);

}  // namespace casdisk
