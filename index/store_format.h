// The `format` file of a store: what a directory is, in one line a person can read.
//
//   casdisk store, format 1, codec zstd
#pragma once

#include <string>

#include "cas/codec.h"
#include "cas/os/file.h"

namespace casdisk {

inline constexpr unsigned kStoreFormat = 1;

// Makes the directories and, last, the format file: a directory that has one is whole.
// kExists when `path` is a store already; kInvalid when it holds something else.
Result<void> make_store_directory(FileSystem& file_system, const std::string& path, Codec codec);

// The codec that the store's objects are written with.
Result<Codec> read_store_format(FileSystem& file_system, const std::string& path);

}  // namespace casdisk
