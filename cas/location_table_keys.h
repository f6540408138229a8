// Keys and values of the location table, for the two files that it is made of. FORMAT.md has them.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "cas/location_table.h"

namespace casdisk {

inline constexpr std::string_view kLastPackKey = "P";
inline constexpr std::string_view kGenerationsKey = "G";
inline constexpr std::string_view kPackPrefix = "A";

using LocationKey = std::array<std::byte, 33>;
using LocationValue = std::array<std::byte, 21>;
using PackKey = std::array<std::byte, 9>;

LocationKey location_key(const ChunkId& id);
LocationValue encode_location(const LocationTable::Entry& entry);
// kDamaged when no pack can have such a record.
Result<LocationTable::Entry> decode_location(const ChunkId& id, std::span<const std::byte> value);
Result<std::optional<LocationTable::Entry>> find_location(LmdbReader& reader, const ChunkId& id);

// What is to be said of a record of the table that cannot be.
Error damaged_in_table(const std::string& what);

PackKey pack_key(uint64_t pack);
// Nothing: the pack takes no records; it never did, or is gone.
Result<std::optional<LocationTable::PackRecord>> find_pack(LmdbReader& reader, uint64_t pack);

}  // namespace casdisk
