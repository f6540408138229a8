#include "nbd/kv/record_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "cas/os/base64.h"
#include "cas/os/utf8.h"

namespace casdisk {
namespace {

Error invalid(std::string text) { return Error{Fault::kInvalid, 0, std::move(text)}; }

constexpr std::string_view kNames[] = {"key", "key_base64", "value", "value_base64",
                                       "expires_at_ms"};

// The fields that a record has, without what lies deeper in them: whatever else a line may hold
// takes no memory.
ControlJson parse_record(std::string_view line) {
  using Event = ControlJson::parse_event_t;
  const auto is_kept = [](int depth, Event event, ControlJson& parsed) {
    if (event == Event::array_start) return false;
    if (event == Event::object_start) return depth == 0;
    if (event != Event::key) return true;
    const auto* name = parsed.get_ptr<const std::string*>();
    return name != nullptr && std::ranges::find(kNames, *name) != std::end(kNames);
  };
  return ControlJson::parse(line, is_kept, /*allow_exceptions=*/false);
}

Result<std::string> take_bytes(JsonFields& fields, const std::string& name, size_t most_bytes) {
  const std::string coded_name = name + "_base64";
  if (fields.has(name.c_str()) == fields.has(coded_name.c_str())) {
    return invalid(fmt::format("either \"{}\" or \"{}\" is wanted", name, coded_name));
  }
  std::string text, coded;
  fields.text(name.c_str(), text, most_bytes);
  fields.text(coded_name.c_str(), coded, most_bytes);
  TRY(fields.finish());
  if (!fields.has(coded_name.c_str())) return text;
  auto bytes = decode_base64(coded);
  if (!bytes) return invalid(fmt::format("\"{}\" is not base64", coded_name));
  return std::move(*bytes);
}

}  // namespace

void add_json_bytes(ControlJson& json, const std::string& name, std::string_view bytes) {
  if (is_utf8(bytes)) {
    json[name] = std::string(bytes);
  } else {
    json[name + "_base64"] = encode_base64(bytes);
  }
}

ControlJson record_json(const KvRecord& record, JsonOf what) {
  const auto number_or_null = [](uint64_t number) {
    return number == 0 ? ControlJson() : ControlJson(number);
  };
  ControlJson json = ControlJson::object();
  add_json_bytes(json, "key", record.key);
  if (what == JsonOf::kRecord) add_json_bytes(json, "value", record.value.bytes);
  json["version"] = number_or_null(record.value.version);
  json["expires_at_ms"] = number_or_null(record.value.expires_at_ms);
  return json;
}

Result<KvRecord> decode_record_json(std::string_view line) {
  const ControlJson json = parse_record(line);
  if (!json.is_object()) return invalid("not a JSON object");
  JsonFields fields(json);
  KvRecord record;
  TRY_ASSIGN(record.key, take_bytes(fields, "key", line.size()));
  TRY_ASSIGN(record.value.bytes, take_bytes(fields, "value", line.size()));
  fields.number("expires_at_ms", record.value.expires_at_ms);
  TRY(fields.finish());
  return record;
}

}  // namespace casdisk
