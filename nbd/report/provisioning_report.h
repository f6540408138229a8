// ProvisioningReport: how the making of a machine went, as its guest tells the host of Azure.
//
// One record of the pool `guest`, under PROVISIONING_REPORT: fields NAME=VALUE with "|" between
// them; a field that has a "|", a quote or the end of a line in it stands in quotes, with those in
// it doubled, as in CSV. azure-init writes the same.
//
//     success: result agent pps_type vm_id timestamp EXTRA...
//     error:   result reason agent EXTRA... pps_type vm_id timestamp documentation_url
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cas/os/result.h"

namespace casdisk {

inline constexpr const char* kProvisioningReportKey = "PROVISIONING_REPORT";
inline constexpr const char* kProvisioningErrorUrl = "https://aka.ms/linuxprovisioningerror";

struct ProvisioningReport {
  std::optional<std::string> reason = {};  // there is one: provisioning failed
  std::string agent;                       // who says so, "casdisk/1.2"
  std::string pps_type = "None";           // is_pps_type()
  std::string vm_id;
  int64_t time_us = 0;                                      // since 1970
  std::vector<std::pair<std::string, std::string>> extras;  // parse_report_extra()
  std::string documentation_url = kProvisioningErrorUrl;    // of a failure; empty: none
};

std::string encode_provisioning_report(const ProvisioningReport& report);

// How the platform had prepared the machine: None, PreprovisionedOSDisk, Running, Savable, Unknown.
bool is_pps_type(std::string_view name);
std::string pps_types();

// "KEY=VALUE"; kInvalid where the key is empty or one of the report's own.
Result<std::pair<std::string, std::string>> parse_report_extra(std::string_view text);

}  // namespace casdisk
