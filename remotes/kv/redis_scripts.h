// The Lua scripts of RedisKv. Each runs as one step: nobody sees a part of it, and the log of the
// server holds it whole or not at all. What may fail comes before the first write.
//
// KEYS: 1 the index, a sorted set of all keys with score 0; 2 the expiries, a sorted set of the
// keys that expire, by when in ms; 3 the last version given. ARGV 1 is what a record's name begins
// with; the key follows. A record is version u64, expiry u64 (cas/kv/kv_record_format.h), value.
//
// Redis takes records away by itself when they expire, and each script believes it; what is left of
// them in the sets, the scripts remove.
#pragma once

namespace casdisk {

// ARGV 2 the number of puts, 3 of conditions; for each condition its kind (a, e, v), key, version
// (8 bytes); for each operation p, key, value, ttl in ms, or r, key and two empty ones.
// -> {the number of the first condition that does not hold, from 1, or 0; for each operation its
// version, or how many records it removed}
extern const char* const kRedisWriteScript;

// ARGV 2 and 3 the bounds for ZRANGEBYLEX, 4 records at most, 5 bytes to end at, 6 "1" for values,
// 7 keys looked at at most.
// -> {key to go on behind or "", key, record, key, record, ...}
extern const char* const kRedisListScript;

// ARGV 2 and 3: offset and bytes of a value; KEYS 4 the record. -> {header, part} or {}
extern const char* const kRedisRangeScript;

// For each record its key, value, expiry in ms. Replaces everything. -> how many there are
extern const char* const kRedisLoadScript;

// ARGV 2: keys looked at at most. -> {how many were removed, how many were looked at}
extern const char* const kRedisSweepScript;

}  // namespace casdisk
