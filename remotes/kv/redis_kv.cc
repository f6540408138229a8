#include "remotes/kv/redis_kv.h"

#include <fmt/format.h>

#include <algorithm>

#include "cas/kv/key_codec.h"
#include "cas/kv/kv_record_format.h"
#include "remotes/kv/redis_scripts.h"
#include "remotes/kv/store_form.h"

namespace casdisk {
namespace {

using How = RedisClient::How;
using Kind = RedisReply::Kind;
using Repeat = RedisClient::Repeat;

constexpr std::string_view kForm = "1";
// What one script looks at while others wait: a few milliseconds.
constexpr size_t kLookedAtCount = 4096;
constexpr size_t kSweptCount = 1000;
constexpr size_t kDumpCount = 256;
// Of a load or a truncation, whose script may run for seconds.
constexpr std::chrono::milliseconds kLongTimeout{120'000};
// Beyond any value; exact in Lua's numbers.
constexpr uint64_t kBeyondAnyOffset = uint64_t(1) << 40;

Result<KvValue> to_value(const RedisReply& reply) { return decode_kv_value(as_bytes(reply.text)); }

// The names and values of an INFO: "name:value" lines.
std::map<std::string, std::string> parse_info(std::string_view text) {
  std::map<std::string, std::string> fields;
  while (!text.empty()) {
    const size_t end = std::min(text.find("\r\n"), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 2, text.size()));
    const size_t colon = line.find(':');
    if (colon != line.npos) fields.emplace(line.substr(0, colon), line.substr(colon + 1));
  }
  return fields;
}

std::string_view condition_name(KvCondition::Kind kind) {
  switch (kind) {
    case KvCondition::Kind::kAbsent:
      return "a";
    case KvCondition::Kind::kExists:
      return "e";
    case KvCondition::Kind::kVersion:
      break;
  }
  return "v";
}

}  // namespace

RedisKv::RedisKv(const RedisKvOptions& options)
    : client_(options.address),
      form_(options.prefix + "form"),
      index_(options.prefix + "index"),
      expiries_(options.prefix + "expiries"),
      counter_(options.prefix + "version"),
      records_(options.prefix + "record:"),
      write_{kRedisWriteScript},
      list_{kRedisListScript},
      range_{kRedisRangeScript},
      load_{kRedisLoadScript},
      sweep_{kRedisSweepScript} {}

Error RedisKv::unexpected(std::string_view what) const {
  return Error{Fault::kDamaged, 0,
               fmt::format("{}: {}: an answer that none of ours is", client_.name(), what)};
}

Result<std::unique_ptr<RedisKv>> RedisKv::open(const RedisKvOptions& options) {
  std::unique_ptr<RedisKv> store(new RedisKv(options));
  TRY(store->check_form(options.may_create));
  for (RedisScript* script :
       {&store->write_, &store->list_, &store->range_, &store->load_, &store->sweep_}) {
    TRY_ASSIGN(script->hash, store->client_.load_script(script->text));
  }
  TRY_ASSIGN(store->durability_problem_, store->find_durability_problem());
  if (options.must_be_durable && !store->is_durable()) {
    return Error{
        Fault::kUnsupported, 0,
        fmt::format("{}: durable=require: {}", options.address.name, store->durability_problem_)};
  }
  return store;
}

Result<void> RedisKv::check_form(bool may_create) {
  const std::string_view look[] = {"GET", form_};
  TRY_ASSIGN(RedisReply found, client_.call(look, {.repeat = Repeat::kOnceMore}));
  if (found.kind == Kind::kNil) {
    if (!may_create) return no_store_there(client_.name());
    const std::string_view make[] = {"SET", form_, kForm, "NX"};
    TRY(client_.call(make, {.repeat = Repeat::kOnceMore}));
    TRY_ASSIGN(found, client_.call(look, {.repeat = Repeat::kOnceMore}));
  }
  if (found.text == kForm) return {};
  return other_form_there(client_.name(), form_);
}

Result<std::map<std::string, std::string>> RedisKv::config(std::string_view pattern) {
  const std::string_view arguments[] = {"CONFIG", "GET", pattern};
  TRY_ASSIGN(const RedisReply reply, client_.call(arguments, {.repeat = Repeat::kOnceMore}));
  std::map<std::string, std::string> settings;
  for (size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    settings.emplace(reply.elements[i].text, reply.elements[i + 1].text);
  }
  return settings;
}

// What is missing for durability, or empty. Servers of others often do not let one ask.
Result<std::string> RedisKv::find_durability_problem() {
  auto log = config("*append*");
  auto memory = config("maxmemory*");
  for (const auto* answer : {&log, &memory}) {
    if (answer->ok()) continue;
    if (answer->error().fault == Fault::kUnavailable) return answer->error();
    return "the server does not tell its configuration: " + answer->error().context;
  }
  auto& settings = log.value();
  settings.merge(memory.value());
  if (settings["appendonly"] != "yes") return std::string("set appendonly to yes");
  if (settings["appendfsync"] != "always") {
    return fmt::format("appendfsync is {}; set it to always", settings["appendfsync"]);
  }
  if (settings["no-appendfsync-on-rewrite"] == "yes") {
    return std::string("set no-appendfsync-on-rewrite to no");
  }
  if (settings["maxmemory"] != "0" && settings["maxmemory-policy"] != "noeviction") {
    return fmt::format("maxmemory-policy is {}, which evicts records; set it to noeviction",
                       settings["maxmemory-policy"]);
  }
  return std::string();
}

Result<RedisReply> RedisKv::run(const RedisScript& script,
                                std::span<const std::string_view> arguments, const How& how) {
  const std::string_view keys[] = {index_, expiries_, counter_};
  return client_.run(script, keys, arguments, how);
}

Result<std::optional<KvValue>> RedisKv::get(std::string_view key) {
  const std::string name = record_name(key);
  const std::string_view arguments[] = {"GET", name};
  TRY_ASSIGN(const RedisReply reply, client_.call(arguments, {.repeat = Repeat::kOnceMore}));
  if (reply.kind == Kind::kNil) return std::optional<KvValue>();
  TRY_ASSIGN(KvValue value, to_value(reply));
  return std::optional(std::move(value));
}

Result<bool> RedisKv::exists(std::string_view key) {
  const std::string name = record_name(key);
  const std::string_view arguments[] = {"EXISTS", name};
  TRY_ASSIGN(const RedisReply reply, client_.call(arguments, {.repeat = Repeat::kOnceMore}));
  return reply.number != 0;
}

Result<std::optional<KvValue>> RedisKv::get_range(std::string_view key, uint64_t offset,
                                                  size_t bytes) {
  const std::string name = record_name(key);
  const std::string from = std::to_string(std::min(offset, kBeyondAnyOffset));
  const std::string count = std::to_string(std::min<uint64_t>(bytes, kBeyondAnyOffset));
  const std::string_view keys[] = {index_, expiries_, counter_, name};
  const std::string_view arguments[] = {records_, from, count};
  TRY_ASSIGN(RedisReply reply, client_.run(range_, keys, arguments, {.repeat = Repeat::kOnceMore}));
  if (reply.elements.empty()) return std::optional<KvValue>();
  if (reply.elements.size() != 2) return unexpected("a part of a value");
  TRY_ASSIGN(KvValue value, to_value(reply.elements[0]));
  value.bytes = std::move(reply.elements[1].text);
  return std::optional(std::move(value));
}

Result<KvSlice> RedisKv::list(const KvListRequest& request) {
  std::string from = "-";
  if (!request.after.empty()) {
    from = "(" + std::string(std::max(request.after, request.prefix));
  } else if (!request.prefix.empty()) {
    from = "[" + std::string(request.prefix);
  }
  const auto end = kv_prefix_end(request.prefix);
  const std::string to = end ? "(" + *end : "+";
  const std::string numbers[] = {std::to_string(request.limit_count),
                                 std::to_string(request.limit_bytes),
                                 std::to_string(kLookedAtCount)};
  const std::string_view arguments[] = {
      records_, from, to, numbers[0], numbers[1], request.with_values ? "1" : "0", numbers[2]};
  TRY_ASSIGN(RedisReply reply, run(list_, arguments, {.repeat = Repeat::kOnceMore}));
  if (reply.elements.size() % 2 != 1) return unexpected("list");
  KvSlice slice;
  slice.after = std::move(reply.elements[0].text);
  for (size_t i = 1; i < reply.elements.size(); i += 2) {
    TRY_ASSIGN(KvValue value, to_value(reply.elements[i + 1]));
    slice.records.push_back({std::move(reply.elements[i].text), std::move(value)});
  }
  return slice;
}

Result<std::vector<KvOutcome>> RedisKv::write(const KvWrite& write) {
  std::vector<std::string> numbers;  // what the arguments are views of
  numbers.reserve(2 + write.conditions.size() + write.operations.size());
  const auto is_put = [](const KvOperation& one) { return one.kind == KvOperation::Kind::kPut; };
  numbers.push_back(std::to_string(std::ranges::count_if(write.operations, is_put)));
  numbers.push_back(std::to_string(write.conditions.size()));
  std::vector<std::string_view> arguments = {records_, numbers[0], numbers[1]};
  for (const KvCondition& condition : write.conditions) {
    std::string& version = numbers.emplace_back(sizeof condition.version, '\0');
    store_le(reinterpret_cast<std::byte*>(version.data()), condition.version);
    arguments.insert(arguments.end(), {condition_name(condition.kind), condition.key, version});
  }
  for (const KvOperation& operation : write.operations) {
    if (is_put(operation)) {
      numbers.push_back(std::to_string(operation.ttl_ms));
      arguments.insert(arguments.end(), {"p", operation.key, operation.value, numbers.back()});
    } else {
      arguments.insert(arguments.end(), {"r", operation.key, "", "0"});
    }
  }
  TRY_ASSIGN(const RedisReply reply, run(write_, arguments, {}));
  if (reply.elements.empty()) return unexpected("write");
  const uint64_t failed = uint64_t(reply.elements[0].number);
  if (failed > write.conditions.size()) return unexpected("write");
  if (failed != 0) return kv_conflict(write.conditions[failed - 1]);
  if (reply.elements.size() != 1 + write.operations.size()) return unexpected("write");
  std::vector<KvOutcome> outcomes(write.operations.size());
  for (size_t i = 0; i < outcomes.size(); i++) {
    const uint64_t number = uint64_t(reply.elements[i + 1].number);
    (is_put(write.operations[i]) ? outcomes[i].version : outcomes[i].removed_count) = number;
  }
  return outcomes;
}

Result<void> RedisKv::dump(const Visit& visit) {
  return kv_visit_lists([this](const KvListRequest& request) { return list(request); }, kDumpCount,
                        visit);
}

Result<void> RedisKv::load(std::span<const KvRecord> records) {
  const auto too_large = [&](const char* what, uint64_t max, uint64_t actual) {
    return Error{Fault::kTooLarge, 0,
                 fmt::format("{}: load: {} {}, and {} is the most that is replaced in one step; "
                             "nothing was changed",
                             client_.name(), actual, what, max),
                 max, actual};
  };
  if (records.size() > kMaxLoadCount) return too_large("records", kMaxLoadCount, records.size());
  uint64_t bytes = 0;
  for (const KvRecord& record : records) bytes += record.key.size() + record.value.bytes.size();
  if (bytes > kMaxLoadBytes) return too_large("bytes", kMaxLoadBytes, bytes);
  return replace(records);
}

Result<void> RedisKv::replace(std::span<const KvRecord> records) {
  std::vector<std::string> expiries;
  expiries.reserve(records.size());
  std::vector<std::string_view> arguments = {records_};
  for (const KvRecord& record : records) {
    expiries.push_back(std::to_string(record.value.expires_at_ms));
    arguments.insert(arguments.end(), {record.key, record.value.bytes, expiries.back()});
  }
  TRY(run(load_, arguments, {.timeout = kLongTimeout}));
  return {};
}

Result<void> RedisKv::truncate() { return replace({}); }

Result<uint64_t> RedisKv::sweep() {
  const std::string most = std::to_string(kSweptCount);
  const std::string_view arguments[] = {records_, most};
  uint64_t swept_count = 0;
  for (;;) {
    TRY_ASSIGN(const RedisReply reply, run(sweep_, arguments, {.repeat = Repeat::kOnceMore}));
    if (reply.elements.size() != 2) return unexpected("sweep");
    swept_count += uint64_t(reply.elements[0].number);
    const bool is_all =
        reply.elements[0].number == 0 || uint64_t(reply.elements[1].number) < kSweptCount;
    if (is_all) return swept_count;
  }
}

Result<KvStats> RedisKv::stats() {
  const std::string_view count[] = {"ZCARD", index_};
  TRY_ASSIGN(const RedisReply counted, client_.call(count, {.repeat = Repeat::kOnceMore}));
  const std::string_view ask[] = {"INFO"};
  TRY_ASSIGN(const RedisReply info, client_.call(ask, {.repeat = Repeat::kOnceMore}));
  auto fields = parse_info(info.text);
  KvStats stats;
  stats.record_count = uint64_t(counted.number);
  // Of the whole server, which may keep other things too.
  stats.used_bytes = std::strtoull(fields["used_memory"].c_str(), nullptr, 10);
  stats.capacity_bytes = std::strtoull(fields["maxmemory"].c_str(), nullptr, 10);
  stats.more.emplace_back("durable", is_durable() ? "yes" : "no: " + durability_problem_);
  for (const char* name : {"redis_version", "role", "connected_slaves", "maxmemory_policy",
                           "aof_enabled", "aof_last_write_status", "aof_current_size"}) {
    if (fields.contains(name)) stats.more.emplace_back(name, fields[name]);
  }
  return stats;
}

}  // namespace casdisk
