// casdisk report
#include <fmt/format.h>

#include <chrono>
#include <set>

#include "cas/kv/hyperv_location.h"
#include "cas/kv/kv_open.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/exit.h"
#include "nbd/report/provisioning_report.h"
#include "nbd/report/vm_id.h"

namespace casdisk {
namespace {

Error usage(std::string text) { return Error{Fault::kInvalid, 0, std::move(text)}; }

int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

Result<void> take_outcome(const Arguments& arguments, ProvisioningReport& report) {
  const std::string& outcome = arguments.positional(0);
  report.reason = arguments.text("reason");
  const auto url = arguments.text("documentation-url");
  if (outcome != "success" && outcome != "failure") {
    return usage(fmt::format("report {:?}: give success or failure", outcome));
  }
  const bool is_failure = outcome == "failure";
  if (is_failure && report.reason.value_or("").empty()) {
    return usage("report failure: --reason TEXT is missing: what failed");
  }
  if (!is_failure && (report.reason || url)) {
    return usage("report success: --reason and --documentation-url belong to a failure");
  }
  if (url) report.documentation_url = *url;
  return {};
}

Result<ProvisioningReport> report_of(const Arguments& arguments) {
  ProvisioningReport report{.agent = arguments.text("agent").value_or("casdisk/" CASDISK_VERSION),
                            .pps_type = arguments.text("pps-type").value_or("None"),
                            .time_us = now_us()};
  TRY(take_outcome(arguments, report));
  if (!is_pps_type(report.pps_type)) {
    return usage(fmt::format("--pps-type {:?}: give one of {}", report.pps_type, pps_types()));
  }
  std::set<std::string> keys;
  for (const std::string& text : arguments.texts("extra")) {
    TRY_ASSIGN(auto extra, parse_report_extra(text));
    if (!keys.insert(extra.first).second) {
      return usage(fmt::format("--extra {:?}: {} is given twice", text, extra.first));
    }
    report.extras.push_back(std::move(extra));
  }
  if (const auto vm_id = arguments.text("vm-id")) {
    if (vm_id->empty()) return usage("--vm-id is empty");
    report.vm_id = *vm_id;
  } else {
    TRY_ASSIGN(report.vm_id, read_vm_id());
  }
  return report;
}

Result<HypervLocation> location_of(const Arguments& arguments) {
  HypervLocation location;
  TRY_ASSIGN(location.pool, parse_hyperv_pool(arguments.text("pool").value_or("guest")));
  TRY_ASSIGN(location.limits, parse_hyperv_limits(arguments.text("limits").value_or("safe")));
  location.directory = arguments.text("dir").value_or(kHypervDirectory);
  if (location.directory.empty()) return usage("--dir is empty: give the directory of the pools");
  return location;
}

std::string url_of(const HypervLocation& location) {
  return fmt::format("hyperv:{}@{}?limits={}", hyperv_pool_name(location.pool), location.directory,
                     location.limits == HypervLimits::kSafe ? "safe" : "wire");
}

}  // namespace

Syntax report_syntax() {
  return {
      .positionals = {{"success|failure"}},
      .options = {{"reason", "TEXT", "what failed; a failure must have it"},
                  {"extra", "KEY=VALUE", "a field of your own; may be given more than once", true},
                  {"documentation-url", "URL",
                   "where a failure is explained\n(default https://aka.ms/linuxprovisioningerror; "
                   "\"\" for none)"},
                  {"pps-type", "TYPE",
                   "how the platform had prepared the machine: None (default),\n"
                   "PreprovisionedOSDisk, Running, Savable or Unknown"},
                  {"agent", "NAME", "who reports (default casdisk/" CASDISK_VERSION ")"},
                  {"vm-id", "ID",
                   "the machine's id (default: the firmware's, which root may read)"},
                  {"pool", "POOL",
                   "guest (default), external, auto, auto-external,\n"
                   "auto-internal or 0 to 4"},
                  {"dir", "DIR", "where the pools are (default /var/lib/hyperv)"},
                  {"limits", "LIMITS",
                   "safe (default): what reaches the host whole, 1022 bytes;\n"
                   "wire: what the pool holds, 2048"}},
      .about =
          "Tells the host of Azure how the making of this machine went: writes the record\n"
          "PROVISIONING_REPORT into a pool of Hyper-V's key-value exchange, from where\n"
          "hv_kvp_daemon hands it on. A report that is there already is replaced.",
      .examples =
          "  casdisk report success\n"
          "  casdisk report failure --reason \"no lease\" --extra interface=eth0\n"};
}

Result<int> run_report(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(const HypervLocation location, location_of(arguments));
  TRY_ASSIGN(const ProvisioningReport report, report_of(arguments));
  const std::string text = encode_provisioning_report(report);
  TRY_ASSIGN(const auto pool, open_kv(url_of(location), {}, embedded_kv_schemes()));
  auto written = pool->put(kProvisioningReportKey, text);
  if (!written.ok()) {
    if (written.error().fault == Fault::kTooLarge) {
      written.error().context += "; shorten --reason or --extra";
    }
    return std::move(written.error());
  }
  session.console().answer(text + "\n", {{"path", location.path()},
                                         {"pool", hyperv_pool_name(location.pool)},
                                         {"key", kProvisioningReportKey},
                                         {"report", text}});
  return kExitDone;
}

}  // namespace casdisk
