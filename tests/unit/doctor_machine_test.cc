#include "nbd/cli/doctor_machine.h"

#include <gtest/gtest.h>

namespace casdisk {
namespace {

MachineFacts good() {
  MachineFacts facts;
  facts.kernel = "6.8.0-31-generic";
  facts.max_open_files = 1 << 20;
  facts.max_locked_bytes = 8 << 20;
  facts.nbdkit = "nbdkit 1.32.5 (nbdkit-1.32.5-1)";
  facts.plugin = "casdisk";
  facts.clients = {"nbdfuse"};
  return facts;
}

const Finding& finding(const Findings& findings, const std::string& subject) {
  for (const Finding& each : findings) {
    if (each.subject == subject) return each;
  }
  ADD_FAILURE() << "nothing is said of " << subject;
  return findings.front();
}

TEST(DoctorMachine, AGoodMachineHasNothingToDo) {
  for (const Finding& each : judge(good())) {
    EXPECT_EQ(each.verdict, Verdict::kOk) << each.subject;
    EXPECT_TRUE(each.remedy.empty()) << each.subject;
  }
}

TEST(DoctorMachine, WhateverIsWrongHasARemedy) {
  MachineFacts bad = good();
  bad.kernel = "5.10.0-21-amd64";
  bad.ring_failure = "Operation not permitted";
  bad.max_open_files = 256;
  bad.max_locked_bytes = 64 << 10;
  bad.plugin_failure = "cannot open";
  bad.clients.clear();
  const Findings findings = judge(bad);
  EXPECT_EQ(finding(findings, "kernel").verdict, Verdict::kNote);
  EXPECT_EQ(finding(findings, "io_uring").verdict, Verdict::kNote);
  EXPECT_EQ(finding(findings, "open files").verdict, Verdict::kProblem);
  EXPECT_EQ(finding(findings, "plugin").verdict, Verdict::kProblem);
  EXPECT_EQ(finding(findings, "clients").verdict, Verdict::kNote);
  for (const Finding& each : findings) {
    EXPECT_EQ(each.remedy.empty(), each.verdict == Verdict::kOk) << each.subject;
  }
}

TEST(DoctorMachine, TheRemedyOfMissingRingsFitsTheirCause) {
  MachineFacts facts = good();
  facts.ring_failure = "Operation not permitted";
  facts.io_uring_disabled = 2;
  EXPECT_NE(finding(judge(facts), "io_uring").remedy.find("sysctl"), std::string::npos);
  facts.io_uring_disabled = 0;
  facts.kernel = "5.10.0";
  facts.max_locked_bytes = 64 << 10;
  EXPECT_NE(finding(judge(facts), "io_uring").remedy.find("ulimit -l"), std::string::npos);
}

TEST(DoctorMachine, KernelsAreComparedByTheirNumbers) {
  MachineFacts facts = good();
  for (const auto& [kernel, verdict] : {std::pair("6.7.9", Verdict::kNote),
                                        {"6.8-rc1", Verdict::kOk},
                                        {"6.10.2", Verdict::kOk},
                                        {"10.1", Verdict::kOk},
                                        {"", Verdict::kNote}}) {
    facts.kernel = kernel;
    EXPECT_EQ(finding(judge(facts), "kernel").verdict, verdict) << kernel;
  }
}

TEST(DoctorMachine, WithoutNbdkitNothingIsServed) {
  MachineFacts facts = good();
  facts.nbdkit.clear();
  EXPECT_EQ(finding(judge(facts), "nbdkit").verdict, Verdict::kProblem);
  facts.nbdkit = "nbdkit 1.24.1";
  EXPECT_EQ(finding(judge(facts), "nbdkit").verdict, Verdict::kProblem);
}

}  // namespace
}  // namespace casdisk
