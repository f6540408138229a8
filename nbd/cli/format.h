// What people read: sizes, times, durations, tables. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cas/chunk_id.h"

namespace casdisk {

// Powers of 1024 with three digits at least where they say something: "512 B", "1.5 GiB", "10 GiB".
std::string human_bytes(uint64_t bytes);
// "0.42 s", "12 s", "3:07", "1:02:33".
std::string human_duration(double seconds);
// "2026-11-21T01:02:03Z", the form of JSON and of tables.
std::string utc_text(int64_t time_ns);
// "2026-11-21T01.02.03Z": the same as a name, in which ':' is awkward for shells and scp.
std::string utc_name(int64_t time_ns);
// Enough of an id to tell it from others by eye.
std::string short_id(const ChunkId& id);

// Columns as wide as their widest cell, two spaces apart; the first row is the heading. A column
// whose heading begins with '>' is set to the right.
std::string table_text(const std::vector<std::vector<std::string>>& rows);

}  // namespace casdisk
