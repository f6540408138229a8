// Replies of the control protocol, and the server's greeting (control_protocol.h).
#include <algorithm>
#include <cerrno>
#include <iterator>

#include "index/names.h"
#include "nbd/control/control_protocol.h"
#include "nbd/control/json_fields.h"

namespace casdisk {
namespace {

struct FaultName {
  Fault fault;
  std::string_view name;
};
constexpr FaultName kFaults[] = {
    {Fault::kNotFound, "not_found"}, {Fault::kExists, "exists"},
    {Fault::kInvalid, "invalid"},    {Fault::kBusy, "busy"},
    {Fault::kNoSpace, "no_space"},   {Fault::kIo, "io"},
    {Fault::kDamaged, "damaged"},    {Fault::kPoisoned, "poisoned"},
    {Fault::kDiffers, "differs"},    {Fault::kUnsupported, "unsupported"},
    {Fault::kConflict, "conflict"},  {Fault::kTooLarge, "too_large"},
    {Fault::kLimit, "limit"},        {Fault::kUnavailable, "unavailable"},
};

constexpr size_t kMaxMessageBytes = 8192;
constexpr size_t kMaxKinds = 32;

Error invalid(std::string context) { return Error{Fault::kInvalid, 0, std::move(context)}; }

ControlJson status_json(const DiskStatus& status) {
  return {{"size_bytes", status.size_bytes},
          {"client_count", status.client_count},
          {"active_bytes", status.active_bytes},
          {"frozen_count", status.frozen_count},
          {"frozen_bytes", status.frozen_bytes},
          {"pending", status.pending},
          {"sealing", status.sealing},
          {"sealed_bytes", status.sealed_bytes},
          {"failure", status.failure}};
}

Result<DiskStatus> status_of(const ControlJson& json) {
  DiskStatus status;
  JsonFields fields(json);
  fields.number("size_bytes", status.size_bytes);
  fields.number("client_count", status.client_count);
  fields.number("active_bytes", status.active_bytes);
  fields.number("frozen_count", status.frozen_count);
  fields.number("frozen_bytes", status.frozen_bytes);
  fields.each("pending", kMaxGenerations, [&](const ControlJson& element) -> Result<void> {
    TRY_ASSIGN(std::string name, text_of(element, kMaxNameBytes));
    status.pending.push_back(std::move(name));
    return {};
  });
  fields.flag("sealing", status.sealing);
  fields.number("sealed_bytes", status.sealed_bytes);
  fields.text("failure", status.failure, kMaxMessageBytes);
  TRY(fields.finish());
  return status;
}

ControlJson stats_json(const std::vector<RequestStats>& stats) {
  ControlJson list = ControlJson::array();
  for (const RequestStats& kind : stats) {
    list.push_back({{"kind", kind.kind},
                    {"count", kind.count},
                    {"bytes", kind.bytes},
                    {"error_count", kind.error_count},
                    {"longest_us", kind.longest_us}});
  }
  return list;
}

Result<RequestStats> stats_of(const ControlJson& json) {
  RequestStats stats;
  JsonFields fields(json);
  fields.text("kind", stats.kind, kMaxNameBytes);
  fields.number("count", stats.count);
  fields.number("bytes", stats.bytes);
  fields.number("error_count", stats.error_count);
  fields.number("longest_us", stats.longest_us);
  TRY(fields.finish());
  return stats;
}

ControlJson answer_json(const ControlAnswer& answer) {
  ControlJson json = ControlJson::object();
  auto add = [&](const char* name, const std::optional<uint64_t>& number) {
    if (number) json[name] = *number;
  };
  if (!answer.checkpoint.empty()) json["checkpoint"] = answer.checkpoint;
  if (answer.id) json["id"] = to_hex(*answer.id);
  if (answer.sealed) json["sealed"] = true;
  add("size_bytes", answer.size_bytes);
  add("before_size_bytes", answer.before_size_bytes);
  add("client_count", answer.client_count);
  add("detached_count", answer.detached_count);
  add("hold", answer.hold);
  add("generation", answer.generation);
  if (answer.status) json["status"] = status_json(*answer.status);
  if (!answer.stats.empty()) json["stats"] = stats_json(answer.stats);
  return json;
}

Result<ControlAnswer> answer_of(const ControlJson& json) {
  ControlAnswer answer;
  std::string id;
  JsonFields fields(json);
  auto read = [&](const char* name, std::optional<uint64_t>& number) {
    if (fields.has(name)) fields.number(name, number.emplace());
  };
  fields.text("checkpoint", answer.checkpoint, kMaxNameBytes);
  fields.text("id", id, 2 * sizeof(ChunkId));
  fields.flag("sealed", answer.sealed);
  read("size_bytes", answer.size_bytes);
  read("before_size_bytes", answer.before_size_bytes);
  read("client_count", answer.client_count);
  read("detached_count", answer.detached_count);
  read("hold", answer.hold);
  read("generation", answer.generation);
  fields.each("stats", kMaxKinds, [&](const ControlJson& element) -> Result<void> {
    TRY_ASSIGN(RequestStats stats, stats_of(element));
    answer.stats.push_back(std::move(stats));
    return {};
  });
  if (const ControlJson* status = fields.find("status")) {
    TRY_ASSIGN(answer.status, status_of(*status));
  }
  TRY(fields.finish());
  if (id.empty()) return answer;
  answer.id = chunk_id_from_hex(id);
  if (!answer.id) return invalid("\"id\": 64 hexadecimal digits are wanted");
  return answer;
}

// What was refused to who asks: `denied`, whatever else it is here.
constexpr std::string_view kDenied = "denied";
bool is_denial(const Error& error) {
  return error.fault == Fault::kInvalid && error.os_error == EPERM;
}

ControlJson error_json(const Error& error) {
  auto found = std::find_if(std::begin(kFaults), std::end(kFaults),
                            [&](const FaultName& fault) { return fault.fault == error.fault; });
  CHECK(found != std::end(kFaults));
  return {{"fault", is_denial(error) ? kDenied : found->name},
          {"message", describe(error).substr(0, kMaxMessageBytes)}};
}

// A fault of a later version is one that we cannot act on: kIo.
Result<void> read_error(const ControlJson& json, Error& into) {
  std::string fault_name;
  JsonFields fields(json);
  fields.text("fault", fault_name, kMaxNameBytes);
  fields.text("message", into.context, 4 * kMaxMessageBytes);
  TRY(fields.finish());
  for (const FaultName& fault : kFaults) {
    if (fault.name == fault_name) into.fault = fault.fault;
  }
  if (fault_name == kDenied) into.fault = Fault::kInvalid;
  return {};
}

}  // namespace

std::string encode(const ControlGreeting& greeting) {
  return line_of({{"casdisk", "control"}, {"version", greeting.version}, {"pid", greeting.pid}});
}

Result<ControlGreeting> decode_greeting(std::string_view line) {
  TRY_ASSIGN(ControlJson json, parse_object(line));
  ControlGreeting greeting;
  std::string what;
  uint64_t pid = 0;
  JsonFields fields(json);
  fields.text("casdisk", what, kMaxNameBytes);
  fields.number("version", greeting.version);
  fields.number("pid", pid, INT64_MAX);
  TRY(fields.finish());
  if (what != "control") return invalid("this is no control socket of casdisk");
  greeting.pid = int64_t(pid);
  return greeting;
}

std::string encode(const ControlReply& reply) {
  ControlJson json = {{"id", reply.id}};
  if (const auto* progress = std::get_if<ControlProgress>(&reply.content)) {
    json["progress"] = {{"sealed_bytes", progress->sealed_bytes}};
  } else if (const auto* answer = std::get_if<ControlAnswer>(&reply.content)) {
    json["ok"] = answer_json(*answer);
  } else {
    json["error"] = error_json(std::get<Error>(reply.content));
  }
  return line_of(json);
}

Result<ControlReply> decode_reply(std::string_view line) {
  TRY_ASSIGN(ControlJson json, parse_object(line));
  ControlReply reply;
  JsonFields fields(json);
  fields.number("id", reply.id);
  if (const ControlJson* error = fields.find("error")) {
    TRY(read_error(*error, reply.content.emplace<Error>()));
  } else if (const ControlJson* answer = fields.find("ok")) {
    TRY_ASSIGN(reply.content, answer_of(*answer));
  } else if (const ControlJson* progress_json = fields.find("progress")) {
    ControlProgress progress;
    JsonFields progress_fields(*progress_json);
    progress_fields.number("sealed_bytes", progress.sealed_bytes);
    TRY(progress_fields.finish());
    reply.content = progress;
  } else {
    return invalid("a reply has \"ok\", \"error\" or \"progress\"");
  }
  TRY(fields.finish());
  return reply;
}

}  // namespace casdisk
