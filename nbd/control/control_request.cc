// Requests of the control protocol (control_protocol.h).
#include <fmt/format.h>

#include "index/names.h"
#include "index/tree.h"
#include "nbd/control/control_protocol.h"
#include "nbd/control/json_fields.h"

namespace casdisk {
namespace {

struct OperationName {
  ControlOperation operation;
  std::string_view name;
};
constexpr OperationName kOperations[] = {
    {ControlOperation::kStatus, "status"},
    {ControlOperation::kStats, "stats"},
    {ControlOperation::kCheckpoint, "checkpoint"},
    {ControlOperation::kFork, "fork"},
    {ControlOperation::kSeal, "seal"},
    {ControlOperation::kFlush, "flush"},
    {ControlOperation::kRollback, "rollback"},
    {ControlOperation::kResize, "resize"},
    {ControlOperation::kDetach, "detach"},
    {ControlOperation::kBeginSession, "begin_session"},
    {ControlOperation::kPrepare, "prepare"},
    {ControlOperation::kHold, "hold"},
    {ControlOperation::kCut, "cut"},
    {ControlOperation::kFlushCut, "flush_cut"},
    {ControlOperation::kReload, "reload"},
    {ControlOperation::kRelease, "release"},
};

Error invalid(std::string context) { return Error{Fault::kInvalid, 0, std::move(context)}; }

ControlJson root_json(const Entry& root) {
  if (root.state == EntryState::kId) return to_hex(root.id);
  return root.state == EntryState::kZero ? "zero" : "absent";
}

Result<Entry> root_of(const std::string& text) {
  if (text == "zero") return Entry::zero();
  if (text == "absent") return Entry::absent();
  auto id = chunk_id_from_hex(text);
  if (id) return Entry::of(*id);
  return invalid("a root is 64 hexadecimal digits, \"zero\" or \"absent\"");
}

ControlJson attachments_json(const std::vector<Attachment>& attachments) {
  ControlJson list = ControlJson::array();
  for (const Attachment& attachment : attachments) {
    list.push_back({{"name", attachment.name},
                    {"size_bytes", attachment.size_bytes},
                    {"root", root_json(attachment.root)}});
  }
  return list;
}

Result<Attachment> attachment_of(const ControlJson& json) {
  Attachment attachment;
  std::string root;
  JsonFields fields(json);
  fields.text("name", attachment.name, kMaxNameBytes);
  fields.number("size_bytes", attachment.size_bytes);
  fields.text("root", root, 2 * sizeof(ChunkId));
  TRY(fields.finish());
  TRY(check_name(attachment.name, "attachment"));
  if (attachment.size_bytes == 0 || attachment.size_bytes > kMaxDiskBytes) {
    return invalid(
        fmt::format("attachment {}: a size of {} bytes", attachment.name, attachment.size_bytes));
  }
  TRY_ASSIGN(attachment.root, root_of(root));
  return attachment;
}

Result<ControlOperation> operation_of(const std::string& name) {
  for (const OperationName& operation : kOperations) {
    if (operation.name == name) return operation.operation;
  }
  return Error{Fault::kUnsupported, 0,
               fmt::format("unknown operation {:?}: a server of another version?", name)};
}

void read_labels(JsonFields& fields, Labels& labels) {
  fields.pairs("labels", kMaxLabels,
               [&](const std::string& key, const ControlJson& value) -> Result<void> {
                 TRY_ASSIGN(std::string text, text_of(value, kMaxLabelBytes));
                 labels.emplace_back(key, std::move(text));
                 return {};
               });
}

void read_attachments(JsonFields& fields, std::vector<Attachment>& attachments) {
  fields.each("attachments", kMaxAttachments, [&](const ControlJson& element) -> Result<void> {
    TRY_ASSIGN(Attachment attachment, attachment_of(element));
    attachments.push_back(std::move(attachment));
    return {};
  });
}

Result<void> check_names(const ControlRequest& request) {
  TRY(check_name(request.disk, "disk"));
  if (!request.checkpoint.empty()) TRY(check_name(request.checkpoint, "checkpoint"));
  if (!request.new_disk.empty()) TRY(check_name(request.new_disk, "disk"));
  const bool names_checkpoint = request.operation == ControlOperation::kCheckpoint ||
                                request.operation == ControlOperation::kRollback;
  if (names_checkpoint && request.checkpoint.empty()) return invalid("\"checkpoint\" is missing");
  if (request.operation == ControlOperation::kFork && request.new_disk.empty()) {
    return invalid("\"new_disk\" is missing");
  }
  return {};
}

}  // namespace

std::string_view operation_name(ControlOperation operation) {
  for (const OperationName& known : kOperations) {
    if (known.operation == operation) return known.name;
  }
  return "";
}

ControlRequest request_for(const std::string& disk, ControlOperation operation) {
  ControlRequest request;
  request.operation = operation;
  request.disk = disk;
  return request;
}

std::string encode(const ControlRequest& request) {
  ControlJson json = {
      {"id", request.id}, {"do", operation_name(request.operation)}, {"disk", request.disk}};
  if (!request.token.empty()) json["token"] = request.token;
  if (!request.checkpoint.empty()) json["checkpoint"] = request.checkpoint;
  if (!request.labels.empty()) {
    ControlJson& labels = json["labels"] = ControlJson::object();
    for (const auto& [key, value] : request.labels) labels[key] = value;
  }
  if (!request.attachments.empty()) json["attachments"] = attachments_json(request.attachments);
  if (!request.new_disk.empty()) json["new_disk"] = request.new_disk;
  if (request.operation == ControlOperation::kResize) json["size_bytes"] = request.size_bytes;
  if (request.operation == ControlOperation::kHold) json["at_most_ms"] = request.at_most_ms;
  if (request.hold != 0) json["hold"] = request.hold;
  if (request.generation != 0) json["generation"] = request.generation;
  if (request.wait) json["wait"] = true;
  if (request.force) json["force"] = true;
  if (request.operation == ControlOperation::kSeal) {
    json["what"] = request.what == SealWhat::kAll ? "all" : "frozen";
  }
  return line_of(json);
}

Result<ControlRequest> decode_request(std::string_view line) {
  TRY_ASSIGN(ControlJson json, parse_object(line));
  ControlRequest request;
  std::string operation;
  std::string what = "all";
  JsonFields fields(json);
  fields.number("id", request.id);
  fields.text("do", operation, kMaxNameBytes);
  fields.text("disk", request.disk, kMaxNameBytes);
  fields.text("token", request.token, kMaxControlTokenBytes);
  fields.text("checkpoint", request.checkpoint, kMaxNameBytes);
  read_labels(fields, request.labels);
  read_attachments(fields, request.attachments);
  fields.text("new_disk", request.new_disk, kMaxNameBytes);
  fields.number("size_bytes", request.size_bytes);
  fields.number("at_most_ms", request.at_most_ms);
  fields.number("hold", request.hold);
  fields.number("generation", request.generation);
  fields.flag("wait", request.wait);
  fields.flag("force", request.force);
  fields.text("what", what, kMaxNameBytes);
  const bool has_size = fields.has("size_bytes");
  TRY(fields.finish());
  TRY_ASSIGN(request.operation, operation_of(operation));
  TRY(check_names(request));
  if (request.operation == ControlOperation::kResize && !has_size) {
    return invalid("\"size_bytes\" is missing");
  }
  if (what != "all" && what != "frozen") return invalid("\"what\": \"all\" or \"frozen\"");
  request.what = what == "all" ? SealWhat::kAll : SealWhat::kFrozen;
  return request;
}

std::optional<uint64_t> request_id(std::string_view line) {
  auto json = parse_object(line);
  if (!json.ok()) return std::nullopt;
  JsonFields fields(json.value());
  if (!fields.has("id") || !fields.has("do")) return std::nullopt;
  uint64_t id = 0;
  fields.number("id", id);
  if (!fields.finish().ok()) return std::nullopt;
  return id;
}

}  // namespace casdisk
