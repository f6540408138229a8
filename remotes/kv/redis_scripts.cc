#include "remotes/kv/redis_scripts.h"

namespace casdisk {

// A version is greater than all before it and, in microseconds, not less than the time: so that
// none comes back even if the server loses its last writes, or all of them. (Exact in Lua's numbers
// until the year 2255.) The counter is written first: it is what fails where there is no memory.
// Before it, each command that changes something is called once so that it changes nothing (there
// is no empty key): a user who may not call one of them makes no half of a change.
const char* const kRedisWriteScript = R"lua(
local index, expiries, counter, records = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local at = 4
for i = 1, tonumber(ARGV[3]) do
  local kind, found = ARGV[at], redis.call('GETRANGE', records .. ARGV[at + 1], 0, 7)
  local is_held = found == ARGV[at + 2]
  if kind == 'a' then is_held = found == '' end
  if kind == 'e' then is_held = found ~= '' end
  if not is_held then return {i} end
  at = at + 3
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local version = tonumber(redis.call('GET', counter) or '0')
version = math.max(version, time[1] * 1000000 + time[2])
local put_count = tonumber(ARGV[2])
if put_count > 0 then redis.call('ZADD', index, 'XX', 0, '') end
if #ARGV >= at + 4 * put_count then redis.call('UNLINK', records) end
redis.call('ZREM', index, '')
for _, key in ipairs(redis.call('ZRANGEBYSCORE', expiries, '-inf', now_ms, 'LIMIT', 0, 16)) do
  if redis.call('EXISTS', records .. key) == 0 then
    redis.call('ZREM', index, key)
    redis.call('ZREM', expiries, key)
  end
end
if put_count > 0 then redis.call('SET', counter, string.format('%.0f', version + put_count)) end
local reply = {0}
for i = at, #ARGV, 4 do
  local key, ttl_ms = ARGV[i + 1], tonumber(ARGV[i + 3])
  if ARGV[i] == 'p' then
    version = version + 1
    redis.call('ZADD', index, 0, key)
    if ttl_ms > 0 then
      local expires_at_ms = now_ms + ttl_ms
      redis.call('SET', records .. key, struct.pack('<I8I8', version, expires_at_ms) .. ARGV[i + 2],
                 'PXAT', string.format('%.0f', expires_at_ms))
      redis.call('ZADD', expiries, expires_at_ms, key)
    else
      redis.call('SET', records .. key, struct.pack('<I8I8', version, 0) .. ARGV[i + 2])
      redis.call('ZREM', expiries, key)
    end
    reply[#reply + 1] = version
  else
    reply[#reply + 1] = redis.call('UNLINK', records .. key)
    redis.call('ZREM', index, key)
    redis.call('ZREM', expiries, key)
  end
end
return reply
)lua";

// pcall: a server that may not write at the moment can list all the same.
const char* const kRedisListScript = R"lua(
local index, expiries, records = KEYS[1], KEYS[2], ARGV[1]
local from, to = ARGV[2], ARGV[3]
local most, most_bytes, most_looked_at = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
local reply, found, bytes, looked_at, last = {''}, 0, 0, 0, ''
local step = 64
while true do
  local keys = redis.call('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, step)
  for _, key in ipairs(keys) do
    if found == most or bytes >= most_bytes or looked_at == most_looked_at then
      reply[1] = last
      return reply
    end
    looked_at = looked_at + 1
    last = key
    local record
    if ARGV[6] == '1' then
      record = redis.call('GET', records .. key)
    else
      record = redis.call('GETRANGE', records .. key, 0, 15)
    end
    if record and record ~= '' then
      found = found + 1
      reply[#reply + 1] = key
      reply[#reply + 1] = record
      bytes = bytes + #key + #record
    else
      redis.pcall('ZREM', index, key)
      redis.pcall('ZREM', expiries, key)
    end
  end
  if #keys < step then return reply end
  from = '(' .. last
end
)lua";

const char* const kRedisRangeScript = R"lua(
local header = redis.call('GETRANGE', KEYS[4], 0, 15)
if header == '' then return {} end
local from, bytes = 16 + ARGV[2], tonumber(ARGV[3])
if bytes == 0 then return {header, ''} end
return {header, redis.call('GETRANGE', KEYS[4], from, from + bytes - 1)}
)lua";

const char* const kRedisLoadScript = R"lua(
local index, expiries, counter, records = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local version = tonumber(redis.call('GET', counter) or '0')
version = math.max(version, time[1] * 1000000 + time[2])
redis.call('UNLINK', records)
redis.call('ZREMRANGEBYRANK', index, 1, 0)
if #ARGV > 1 then
  redis.call('ZADD', index, 'XX', 0, '')
  redis.call('SET', counter, string.format('%.0f', version + (#ARGV - 1) / 3))
end
while true do
  local keys = redis.call('ZRANGE', index, 0, 999)
  if #keys == 0 then break end
  for i, key in ipairs(keys) do keys[i] = records .. key end
  redis.call('UNLINK', unpack(keys))
  redis.call('ZREMRANGEBYRANK', index, 0, 999)
end
redis.call('UNLINK', expiries)
local count = 0
for i = 2, #ARGV, 3 do
  local key, expires_at_ms = ARGV[i], tonumber(ARGV[i + 2])
  version = version + 1
  if expires_at_ms == 0 or expires_at_ms > now_ms then
    local record = struct.pack('<I8I8', version, expires_at_ms) .. ARGV[i + 1]
    redis.call('ZADD', index, 0, key)
    if expires_at_ms > 0 then
      redis.call('SET', records .. key, record, 'PXAT', string.format('%.0f', expires_at_ms))
      redis.call('ZADD', expiries, expires_at_ms, key)
    else
      redis.call('SET', records .. key, record)
    end
    count = count + 1
  end
end
return count
)lua";

const char* const kRedisSweepScript = R"lua(
local index, expiries, records = KEYS[1], KEYS[2], ARGV[1]
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local keys = redis.call('ZRANGEBYSCORE', expiries, '-inf', now_ms, 'LIMIT', 0, tonumber(ARGV[2]))
local removed = 0
for _, key in ipairs(keys) do
  if redis.call('EXISTS', records .. key) == 0 then
    removed = removed + redis.call('ZREM', index, key)
    redis.call('ZREM', expiries, key)
  end
end
return {removed, #keys}
)lua";

}  // namespace casdisk
