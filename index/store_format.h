// A store as a directory: its `format` file, which says what it is in one line that a person can
// read, and what else must be there.
//
//   casdisk store, format 1, codec zstd
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cas/codec.h"
#include "cas/machine.h"
#include "cas/os/file.h"

namespace casdisk {

inline constexpr unsigned kStoreFormat = 1;

inline constexpr uint64_t kMetaMapBytes = uint64_t(16) << 30;  // address space of the catalog

// What a disk's directory in disks/, and its file in leases/, are called, and back: nothing for
// other names.
std::string uid_name(uint64_t uid);
std::optional<uint64_t> uid_from_name(const std::string& name);

// The line, with its newline. Decoding understands that and nothing else: kDamaged for what is no
// such line, kUnsupported for one of another format.
std::string encode_store_format(Codec codec);
Result<Codec> decode_store_format(std::string_view line);

// Makes `path`, and what it lies in, where there is none yet; their names are synced.
Result<void> make_directories(FileSystem& file_system, const std::string& path);

// Makes in `path`, which exists, the directories, an empty catalog and, last, the format file: a
// directory that has one is whole. kExists when `path` is a store already; kInvalid when it holds
// something else.
Result<void> make_store_directory(FileSystem& file_system, Machine& machine,
                                  const std::string& path, Codec codec);

// Between the two, names of the store's directory change that everything else relies on, and are
// synced. Should the process die meanwhile, a file `names.unsynced` tells whoever opens the store
// next. Nothing else has the store open.
Result<void> begin_names(Directory& store);
void end_names(Directory& store);

// Syncs the names if whoever changed them died before it.
Result<void> settle_names(Directory& store);

// kDamaged when the catalog's file is gone: without it a store would look empty, and what it holds
// like leftovers.
Result<void> check_catalog_exists(Directory& store);

// kDamaged when the location table's file is gone: an empty one would make every object look
// missing.
Result<void> check_table_exists(Directory& store);

// The codec that the store's objects are written with.
Result<Codec> read_store_format(FileSystem& file_system, const std::string& path);

}  // namespace casdisk
