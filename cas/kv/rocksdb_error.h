// What a status of RocksDB's means to those who use a store.
#pragma once

#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace rocksdb {
class Status;
}  // namespace rocksdb

namespace casdisk {

// The file system is full, or a quota, for which RocksDB has no word of its own.
bool is_rocksdb_no_space(const rocksdb::Status& status);

// REQUIRES: `status` is not ok. kNoSpace, kDamaged, kPoisoned (RocksDB takes nothing more), kBusy,
// kUnsupported, kInvalid, else kIo.
Error rocksdb_error(const rocksdb::Status& status, const std::string& directory,
                    std::string_view operation);

}  // namespace casdisk
