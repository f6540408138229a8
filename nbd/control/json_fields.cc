#include "nbd/control/json_fields.h"

#include <fmt/format.h>

namespace casdisk {

Result<ControlJson> parse_object(std::string_view line) {
  ControlJson json = ControlJson::parse(line, nullptr, false);
  if (json.is_object()) return json;
  return Error{
      Fault::kInvalid, 0,
      fmt::format("not a JSON object: {}", line.substr(0, std::min<size_t>(60, line.size())))};
}

std::string line_of(const ControlJson& json) {
  return json.dump(-1, ' ', false, ControlJson::error_handler_t::replace);
}

Result<std::string> text_of(const ControlJson& json, size_t most_bytes) {
  const auto* text = json.get_ptr<const std::string*>();
  if (text != nullptr && text->size() <= most_bytes) return *text;
  return Error{Fault::kInvalid, 0, "a short string is wanted"};
}

JsonFields::JsonFields(const ControlJson& json) : json_(json) {
  if (!json.is_object()) outcome_ = Error{Fault::kInvalid, 0, "a JSON object is wanted"};
}

const ControlJson* JsonFields::find(const char* name) const {
  if (!json_.is_object()) return nullptr;
  auto found = json_.find(name);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

void JsonFields::wrong(const char* name, const char* what) {
  if (outcome_.ok()) outcome_ = Error{Fault::kInvalid, 0, fmt::format("{:?}: {}", name, what)};
}

void JsonFields::text(const char* name, std::string& into, size_t most_bytes) {
  const ControlJson* field = find(name);
  if (field == nullptr) return;
  const auto* text = field->get_ptr<const std::string*>();
  if (text == nullptr) return wrong(name, "a string is wanted");
  if (text->size() > most_bytes) return wrong(name, "too long");
  into = *text;
}

void JsonFields::number(const char* name, uint64_t& into, uint64_t most) {
  const ControlJson* field = find(name);
  if (field == nullptr) return;
  const auto* number = field->get_ptr<const uint64_t*>();
  if (number == nullptr) return wrong(name, "a whole number is wanted, zero or more");
  if (*number > most) return wrong(name, "too large");
  into = *number;
}

void JsonFields::flag(const char* name, bool& into) {
  const ControlJson* field = find(name);
  if (field == nullptr) return;
  const auto* flag = field->get_ptr<const bool*>();
  if (flag == nullptr) return wrong(name, "true or false is wanted");
  into = *flag;
}

void JsonFields::each(const char* name, size_t most,
                      const std::function<Result<void>(const ControlJson&)>& read) {
  const ControlJson* field = find(name);
  if (field == nullptr) return;
  if (!field->is_array()) return wrong(name, "an array is wanted");
  if (field->size() > most) return wrong(name, "too many");
  for (const ControlJson& element : *field) {
    auto outcome = read(element);
    if (!outcome.ok()) return wrong(name, outcome.error().context.c_str());
  }
}

void JsonFields::pairs(
    const char* name, size_t most,
    const std::function<Result<void>(const std::string&, const ControlJson&)>& read) {
  const ControlJson* field = find(name);
  if (field == nullptr) return;
  if (!field->is_object()) return wrong(name, "an object is wanted");
  if (field->size() > most) return wrong(name, "too many");
  for (const auto& [key, value] : field->items()) {
    auto outcome = read(key, value);
    if (!outcome.ok()) return wrong(name, outcome.error().context.c_str());
  }
}

}  // namespace casdisk
