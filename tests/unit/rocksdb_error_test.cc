#include "cas/kv/rocksdb_error.h"

#include <gtest/gtest.h>
#include <rocksdb/status.h>

#include <cerrno>
#include <cstring>

namespace casdisk {
namespace {

using rocksdb::Status;

TEST(RocksDbError, WantOfSpaceIsAFullDiskOrAQuota) {
  const Status full[] = {Status::NoSpace(),
                         Status::IOError("While appending to file", std::strerror(EDQUOT))};
  for (const Status& status : full) {
    EXPECT_TRUE(is_rocksdb_no_space(status)) << status.ToString();
    EXPECT_EQ(rocksdb_error(status, "/kv", "write").fault, Fault::kNoSpace) << status.ToString();
  }
  const Status broken = Status::IOError("While appending to file", std::strerror(EIO));
  EXPECT_FALSE(is_rocksdb_no_space(broken));
  EXPECT_EQ(rocksdb_error(broken, "/kv", "write").fault, Fault::kIo);
  EXPECT_EQ(rocksdb_error(Status::Corruption("a block"), "/kv", "get").fault, Fault::kDamaged);
}

}  // namespace
}  // namespace casdisk
