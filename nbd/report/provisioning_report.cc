#include "nbd/report/provisioning_report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace casdisk {
namespace {

constexpr std::string_view kPpsTypes[] = {"None", "PreprovisionedOSDisk", "Running", "Savable",
                                          "Unknown"};
constexpr std::string_view kOwnFields[] = {
    "result", "reason", "agent", "pps_type", "vm_id", "timestamp", "documentation_url"};

// "2026-11-21T01:02:03.000004+00:00"
std::string time_text(int64_t time_us) {
  const int64_t micros = ((time_us % 1'000'000) + 1'000'000) % 1'000'000;
  const time_t seconds = time_t((time_us - micros) / 1'000'000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}+00:00", fmt::gmtime(seconds), micros);
}

class Fields {
 public:
  void add(std::string_view name, std::string_view value) {
    const std::string field = fmt::format("{}={}", name, value);
    if (!text_.empty()) text_ += '|';
    if (field.find_first_of("|\"\r\n") == field.npos) {
      text_ += field;
      return;
    }
    text_ += '"';
    for (const char c : field) text_.append(c == '"' ? 2 : 1, c);
    text_ += '"';
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace

std::string encode_provisioning_report(const ProvisioningReport& report) {
  Fields fields;
  const auto add_extras = [&] {
    for (const auto& [name, value] : report.extras) fields.add(name, value);
  };
  const bool is_success = !report.reason;
  fields.add("result", is_success ? "success" : "error");
  if (!is_success) fields.add("reason", *report.reason);
  fields.add("agent", report.agent);
  if (!is_success) add_extras();
  fields.add("pps_type", report.pps_type);
  fields.add("vm_id", report.vm_id);
  fields.add("timestamp", time_text(report.time_us));
  if (is_success) add_extras();
  if (!is_success && !report.documentation_url.empty()) {
    fields.add("documentation_url", report.documentation_url);
  }
  return fields.take();
}

bool is_pps_type(std::string_view name) {
  return std::ranges::find(kPpsTypes, name) != std::end(kPpsTypes);
}

std::string pps_types() { return fmt::format("{}", fmt::join(kPpsTypes, ", ")); }

Result<std::pair<std::string, std::string>> parse_report_extra(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == text.npos || equals == 0) {
    return Error{Fault::kInvalid, 0, fmt::format("--extra {:?}: give KEY=VALUE", text)};
  }
  const std::string_view key = text.substr(0, equals);
  if (std::ranges::find(kOwnFields, key) != std::end(kOwnFields)) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("--extra {:?}: {} is a field that a report has anyway", text, key)};
  }
  return std::pair(std::string(key), std::string(text.substr(equals + 1)));
}

}  // namespace casdisk
