#include "cas/kv/hyperv_location.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace casdisk {
namespace {

constexpr std::string_view kPools[] = {
    "external",       // 0: the host writes, the guest reads
    "guest",          // 1: the guest writes, the host reads
    "auto",           // 2: hv_kvp_daemon answers itself, and does not look at the file
    "auto-external",  // 3: the host writes what it says of itself
    "auto-internal",  // 4
};
constexpr std::string_view kLimitsParameter = "limits=";

Error invalid(std::string text) { return Error{Fault::kInvalid, 0, std::move(text)}; }

}  // namespace

std::string HypervLocation::file_name() const { return fmt::format(".kvp_pool_{}", pool); }

std::string_view hyperv_pool_name(int pool) { return kPools[pool]; }

Result<int> parse_hyperv_pool(std::string_view name) {
  const bool is_number =
      name.size() == 1 && name[0] >= '0' && name[0] < '0' + int(std::size(kPools));
  if (is_number) return name[0] - '0';
  const auto found = std::ranges::find(kPools, name);
  if (found != std::end(kPools)) return int(found - kPools);
  return invalid(fmt::format("{:?} is no pool of Hyper-V; give {} or 0 to {}", name,
                             fmt::join(kPools, ", "), std::size(kPools) - 1));
}

Result<HypervLimits> parse_hyperv_limits(std::string_view name) {
  if (name == "safe") return HypervLimits::kSafe;
  if (name == "wire") return HypervLimits::kWire;
  return invalid(fmt::format("limits {:?}; give safe or wire", name));
}

Result<HypervLocation> parse_hyperv_location(std::string_view text) {
  HypervLocation location;
  if (const size_t question = text.rfind('?'); question != text.npos) {
    const std::string_view parameter = text.substr(question + 1);
    if (!parameter.starts_with(kLimitsParameter)) {
      return invalid(
          fmt::format("parameter {:?}; there is limits=safe and limits=wire", parameter));
    }
    TRY_ASSIGN(location.limits, parse_hyperv_limits(parameter.substr(kLimitsParameter.size())));
    text = text.substr(0, question);
  }
  if (const size_t at = text.find('@'); at != text.npos) {
    location.directory = text.substr(at + 1);
    if (location.directory.empty()) return invalid("there is no directory behind the \"@\"");
    text = text.substr(0, at);
  }
  TRY_ASSIGN(location.pool, parse_hyperv_pool(text));
  return location;
}

}  // namespace casdisk
