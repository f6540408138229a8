#include "nbd/report/provisioning_report.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

constexpr int64_t kTimeUs = 1'795'223'045'000'007;

ProvisioningReport report() {
  return {.agent = "casdisk/1.0", .vm_id = "0a-b", .time_us = kTimeUs};
}

TEST(ProvisioningReport, Success) {
  ProvisioningReport success = report();
  EXPECT_EQ(encode_provisioning_report(success),
            "result=success|agent=casdisk/1.0|pps_type=None|vm_id=0a-b|"
            "timestamp=2026-11-21T01:04:05.000007+00:00");
  success.pps_type = "Savable";
  success.extras = {{"b", "2"}, {"a", "1=1"}};
  EXPECT_EQ(encode_provisioning_report(success),
            "result=success|agent=casdisk/1.0|pps_type=Savable|vm_id=0a-b|"
            "timestamp=2026-11-21T01:04:05.000007+00:00|b=2|a=1=1");
}

TEST(ProvisioningReport, Failure) {
  ProvisioningReport failure = report();
  failure.reason = "no lease";
  failure.extras = {{"interface", "eth0"}, {"tries", "5"}};
  EXPECT_EQ(encode_provisioning_report(failure),
            "result=error|reason=no lease|agent=casdisk/1.0|interface=eth0|tries=5|pps_type=None|"
            "vm_id=0a-b|timestamp=2026-11-21T01:04:05.000007+00:00|"
            "documentation_url=https://aka.ms/linuxprovisioningerror");
  failure.documentation_url = "";
  failure.extras.clear();
  EXPECT_EQ(encode_provisioning_report(failure),
            "result=error|reason=no lease|agent=casdisk/1.0|pps_type=None|vm_id=0a-b|"
            "timestamp=2026-11-21T01:04:05.000007+00:00");
}

TEST(ProvisioningReport, FieldsAreQuotedWhereTheyMustBe) {
  ProvisioningReport failure = report();
  failure.documentation_url = "";
  failure.reason = "a|b";
  failure.extras = {{"said", "\"no\" it's, \t\u00e4"}, {"lines", "1\n2"}, {"cr", "\r"}};
  EXPECT_EQ(encode_provisioning_report(failure),
            "result=error|\"reason=a|b\"|agent=casdisk/1.0|"
            "\"said=\"\"no\"\" it's, \t\u00e4\"|\"lines=1\n2\"|\"cr=\r\"|pps_type=None|"
            "vm_id=0a-b|timestamp=2026-11-21T01:04:05.000007+00:00");
}

TEST(ProvisioningReport, TypesAndExtras) {
  for (const char* name : {"None", "PreprovisionedOSDisk", "Running", "Savable", "Unknown"}) {
    EXPECT_TRUE(is_pps_type(name));
  }
  EXPECT_FALSE(is_pps_type("none"));
  EXPECT_FALSE(is_pps_type(""));
  auto extra = parse_report_extra("a=b=c");
  ASSERT_OK(extra);
  EXPECT_EQ(extra.value(), (std::pair<std::string, std::string>("a", "b=c")));
  EXPECT_OK(parse_report_extra("a="));
  for (const char* text : {"", "a", "=b", "result=x", "vm_id=", "documentation_url=x"}) {
    EXPECT_FAULT(parse_report_extra(text), Fault::kInvalid) << text;
  }
}

}  // namespace
}  // namespace casdisk
