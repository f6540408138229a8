// Fields of a JSON object that somebody else wrote, read without believing their types. The JSON
// library throws at a wrong type; nothing here does.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "cas/os/result.h"

namespace casdisk {

using ControlJson = nlohmann::ordered_json;

// The object that `line` is. kInvalid: it is not JSON, or JSON of another kind.
Result<ControlJson> parse_object(std::string_view line);
// One line. Bytes that are not UTF-8 become U+FFFD.
std::string line_of(const ControlJson& json);

// An element that is a string of at most so many bytes.
Result<std::string> text_of(const ControlJson& json, size_t most_bytes);

// Reads fields one after another; the first that is wrong is what finish() reports. A field that is
// missing or null leaves its variable as it is.
class JsonFields {
 public:
  // `json` outlives this. What is no object has one wrong field: itself.
  explicit JsonFields(const ControlJson& json);

  void text(const char* name, std::string& into, size_t most_bytes);
  void number(const char* name, uint64_t& into, uint64_t most = UINT64_MAX);
  void flag(const char* name, bool& into);
  // Calls `read` with an array's elements; more than `most` are wrong.
  void each(const char* name, size_t most,
            const std::function<Result<void>(const ControlJson&)>& read);
  // Calls `read` with an object's keys and values.
  void pairs(const char* name, size_t most,
             const std::function<Result<void>(const std::string&, const ControlJson&)>& read);

  bool has(const char* name) const { return find(name) != nullptr; }
  const ControlJson* find(const char* name) const;
  Result<void> finish() { return std::move(outcome_); }

 private:
  void wrong(const char* name, const char* what);

  const ControlJson& json_;
  Result<void> outcome_;
};

}  // namespace casdisk
