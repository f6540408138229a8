// Damage to the files of a store: what verify has to find and repair to mend.
#pragma once

#include <string>

#include "cas/os/bytes.h"
#include "cas/pack_format.h"
#include "index/store.h"

namespace casdisk {

std::string pack_path(Store& store, uint64_t pack);

// Where the location table says that an object lies. Fails the test when it does not know.
PackLocation location_of(Store& store, const ChunkId& id);

Bytes read_file(const std::string& path);
void write_file(const std::string& path, const Bytes& bytes);

// Flips the lowest bit of the byte.
void flip_bit(const std::string& path, uint64_t at);

// Damages an object's record: `at` bytes into its payload.
void damage_payload(Store& store, const ChunkId& id, uint64_t at = 100);
// Damages what says which object the record is.
void damage_header(Store& store, const ChunkId& id);

}  // namespace casdisk
