#include "remotes/kv/etcd_messages.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "cas/os/base64.h"

namespace casdisk {
namespace {

using Json = nlohmann::json;

constexpr size_t kShownTextBytes = 200;

// What etcd 3.4 says of a stream that broke between its gateway and its server, as happens under
// load: neither a leader nor a client is to blame, and the next one works.
constexpr int kInternal = 13;
constexpr std::string_view kBrokenStream = "unexpected EOF";

// A JSON object or array in the making: fields of text that needs no escapes.
class Text {
 public:
  explicit Text(char open, char close) : text_(1, open), close_(close) {}
  Text& raw(std::string_view name, std::string_view json) {
    separate(name);
    text_ += json;
    return *this;
  }
  Text& word(std::string_view name, std::string_view word) {
    separate(name);
    text_ += '"';
    text_ += word;
    text_ += '"';
    return *this;
  }
  Text& bytes(std::string_view name, std::string_view bytes) {
    if (bytes.empty()) return *this;
    separate(name);
    text_ += '"';
    append_base64(text_, bytes);
    text_ += '"';
    return *this;
  }
  Text& number(std::string_view name, uint64_t number) {
    return number == 0 ? *this : word(name, std::to_string(number));
  }
  Text& flag(std::string_view name, bool flag) { return flag ? raw(name, "true") : *this; }
  Text& element(std::string_view json) { return raw({}, json); }
  std::string take() {
    text_ += close_;
    return std::move(text_);
  }

 private:
  void separate(std::string_view name) {
    if (text_.size() > 1) text_ += ',';
    if (name.empty()) return;
    text_ += '"';
    text_ += name;
    text_ += "\":";
  }

  std::string text_;
  const char close_;
};

Text object() { return Text('{', '}'); }
Text array() { return Text('[', ']'); }

std::string encode_compare(const EtcdCompare& compare) {
  Text text = object();
  text.bytes("key", compare.key);
  switch (compare.kind) {
    case EtcdCompare::Kind::kAbsent:
      text.word("target", "CREATE").word("result", "EQUAL").word("create_revision", "0");
      break;
    case EtcdCompare::Kind::kExists:
      text.word("target", "CREATE").word("result", "GREATER").word("create_revision", "0");
      break;
    case EtcdCompare::Kind::kRevision:
      text.word("target", "MOD").word("result", "EQUAL");
      text.word("mod_revision", std::to_string(compare.revision));
      break;
  }
  return text.take();
}

std::string encode_operation(const EtcdOperation& operation) {
  switch (operation.kind) {
    case EtcdOperation::Kind::kRange:
      return object().raw("request_range", encode_etcd_range(operation.range)).take();
    case EtcdOperation::Kind::kRemove:
      return object().raw("request_delete_range", encode_etcd_remove(operation.range)).take();
    case EtcdOperation::Kind::kPut:
      break;
  }
  Text put = object();
  put.bytes("key", operation.range.key).bytes("value", operation.value);
  return object().raw("request_put", put.number("lease", operation.lease).take()).take();
}

template <typename T, typename Encode>
std::string encode_all(const std::vector<T>& all, Encode encode) {
  Text text = array();
  for (const T& one : all) text.element(encode(one));
  return text.take();
}

// Reads a message's fields; the first that is wrong is remembered.
class Reader {
 public:
  uint64_t number(const Json& json, const char* name) {
    const Json* const field = find(json, name);
    if (field == nullptr) return 0;
    if (const auto* small = field->get_ptr<const uint64_t*>()) return *small;
    const std::string digits = text(json, name);
    uint64_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto parsed = std::from_chars(digits.data(), end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end) is_wrong_ = true;
    return value;
  }
  std::string text(const Json& json, const char* name) {
    const Json* const field = find(json, name);
    if (field == nullptr) return {};
    const auto* text = field->get_ptr<const std::string*>();
    if (text == nullptr) is_wrong_ = true;
    return text == nullptr ? std::string() : *text;
  }
  std::string bytes(const Json& json, const char* name) {
    auto decoded = decode_base64(text(json, name));
    if (!decoded) is_wrong_ = true;
    return std::move(decoded).value_or(std::string());
  }
  bool flag(const Json& json, const char* name) {
    const Json* const field = find(json, name);
    if (field == nullptr) return false;
    const auto* flag = field->get_ptr<const bool*>();
    if (flag == nullptr) is_wrong_ = true;
    return flag != nullptr && *flag;
  }
  // The elements of an array, or none.
  const Json& array(const Json& json, const char* name) {
    static const Json none = Json::array();
    const Json* const field = find(json, name);
    if (field == nullptr) return none;
    if (!field->is_array()) is_wrong_ = true;
    return field->is_array() ? *field : none;
  }
  static const Json* find(const Json& json, const char* name) {
    if (!json.is_object()) return nullptr;
    const auto found = json.find(name);
    return found == json.end() || found->is_null() ? nullptr : &*found;
  }
  bool is_wrong() const { return is_wrong_; }

 private:
  bool is_wrong_ = false;
};

template <typename T>
Result<T> decode(std::string_view text, T (*read)(Reader&, const Json&)) {
  const Json json = Json::parse(text, nullptr, false);
  Reader reader;
  if (json.is_object()) {
    T message = read(reader, json);
    if (!reader.is_wrong()) return message;
  }
  return Error{Fault::kDamaged, 0, "an answer that is none of etcd's"};
}

uint64_t read_revision(Reader& reader, const Json& json) {
  const Json* const header = Reader::find(json, "header");
  return header == nullptr ? 0 : reader.number(*header, "revision");
}

EtcdRangeReply read_range(Reader& reader, const Json& json) {
  EtcdRangeReply reply;
  reply.revision = read_revision(reader, json);
  reply.count = reader.number(json, "count");
  reply.has_more = reader.flag(json, "more");
  for (const Json& record : reader.array(json, "kvs")) {
    reply.records.push_back({reader.bytes(record, "key"), reader.bytes(record, "value"),
                             reader.number(record, "mod_revision"),
                             reader.number(record, "lease")});
  }
  return reply;
}

EtcdTxnReply read_txn(Reader& reader, const Json& json) {
  EtcdTxnReply reply;
  reply.has_succeeded = reader.flag(json, "succeeded");
  reply.revision = read_revision(reader, json);
  for (const Json& operation : reader.array(json, "responses")) {
    EtcdOperationReply& one = reply.operations.emplace_back();
    if (const Json* const range = Reader::find(operation, "response_range")) {
      one.range = read_range(reader, *range);
    }
    if (const Json* const removed = Reader::find(operation, "response_delete_range")) {
      one.removed_count = reader.number(*removed, "deleted");
    }
  }
  return reply;
}

EtcdStatus read_status(Reader& reader, const Json& json) {
  return {reader.text(json, "version"), reader.number(json, "dbSize"),
          reader.number(json, "dbSizeInUse")};
}

uint64_t read_lease_keys(Reader& reader, const Json& json) {
  return reader.array(json, "keys").size();
}

}  // namespace

std::string encode_etcd_range(const EtcdRange& range) {
  Text text = object();
  text.bytes("key", range.key).bytes("range_end", range.end);
  text.number("limit", range.limit).number("revision", range.revision);
  return text.flag("keys_only", range.keys_only).flag("count_only", range.count_only).take();
}

std::string encode_etcd_remove(const EtcdRange& range) {
  return object().bytes("key", range.key).bytes("range_end", range.end).take();
}

std::string encode_etcd_txn(const std::vector<EtcdCompare>& compares,
                            const std::vector<EtcdOperation>& success,
                            const std::vector<EtcdOperation>& failure) {
  Text text = object();
  text.raw("compare", encode_all(compares, encode_compare));
  text.raw("success", encode_all(success, encode_operation));
  return text.raw("failure", encode_all(failure, encode_operation)).take();
}

std::string encode_etcd_grant(uint64_t lease, uint64_t ttl_seconds) {
  return object().number("ID", lease).number("TTL", ttl_seconds).take();
}

std::string encode_etcd_lease(uint64_t lease, bool with_keys) {
  return object().number("ID", lease).flag("keys", with_keys).take();
}

Result<EtcdRangeReply> decode_etcd_range(std::string_view text) { return decode(text, read_range); }
Result<EtcdTxnReply> decode_etcd_txn(std::string_view text) { return decode(text, read_txn); }
Result<EtcdStatus> decode_etcd_status(std::string_view text) { return decode(text, read_status); }
Result<uint64_t> decode_etcd_lease_keys(std::string_view text) {
  return decode(text, read_lease_keys);
}

EtcdRefusal decode_etcd_refusal(int http_status, std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  Reader reader;
  EtcdRefusal refusal;
  refusal.code = int(reader.number(json, "code"));
  refusal.text = reader.text(json, "error").substr(0, kShownTextBytes);
  if (refusal.text.empty()) refusal.text = fmt::format("HTTP status {}", http_status);
  if (refusal.code == kInternal && refusal.text.find(kBrokenStream) != refusal.text.npos) {
    refusal.code = kEtcdUnavailable;
  }
  return refusal;
}

}  // namespace casdisk
