// What is done around the files of a RocksDB store: its directory is made, held by one process, and
// copied.
#pragma once

#include <functional>
#include <string>

#include "cas/os/file_lock.h"

namespace casdisk {

// The directory is there, durably, and held: in it lies "owner", the file that is locked. kNotFound
// where there is no store and none may be made, or nothing above it; kInvalid where the directory
// is of something else; kBusy with the remedy where another one holds it.
Result<FileLock> take_rocksdb_directory(const std::string& directory, bool may_create);

// Whether the machine has run on since note_rocksdb_run(), with the file system mounted: whatever
// processes wrote since is there, also if they were killed. Not if that cannot be told.
bool is_same_rocksdb_run(const std::string& directory);
// As far as that is possible.
void note_rocksdb_run(const std::string& directory);

// A directory that `make(at)` makes under another name is at `path` then, whole and durable, or
// nothing is. kExists where something is.
Result<void> publish_rocksdb_copy(const std::string& path,
                                  const std::function<Result<void>(const std::string& at)>& make);

// What its files take of the medium; those that vanish meanwhile do not count.
uint64_t rocksdb_directory_bytes(const std::string& directory);

}  // namespace casdisk
