// casdisk doctor
#include <fmt/format.h>

#include <algorithm>

#include "nbd/cli/commands.h"
#include "nbd/cli/doctor_machine.h"
#include "nbd/cli/doctor_store.h"
#include "nbd/cli/exit.h"

namespace casdisk {
namespace {

std::string word_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kNote:
      return "note";
    case Verdict::kProblem:
      break;
  }
  return "problem";
}

std::string text_of(const Findings& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text += fmt::format("{:<8}{}: {}\n", word_of(finding.verdict), finding.subject, finding.text);
    if (!finding.remedy.empty()) text += fmt::format("{:<8}  -> {}\n", "", finding.remedy);
  }
  return text;
}

Json json_of(const Findings& findings) {
  Json all = Json::array();
  for (const Finding& finding : findings) {
    all.push_back({{"verdict", word_of(finding.verdict)},
                   {"subject", finding.subject},
                   {"text", finding.text},
                   {"remedy", finding.remedy.empty() ? Json() : Json(finding.remedy)}});
  }
  return all;
}

Result<Findings> store_findings(Session& session) {
  TRY_ASSIGN(const std::string path, session.store_path());
  Findings findings = judge_directory(path);
  auto store = session.store();
  if (!store.ok()) {
    findings.push_back({Verdict::kProblem, "store", describe(store.error()), ""});
    return findings;
  }
  for (Finding& finding : judge_store(*store.value())) findings.push_back(std::move(finding));
  return findings;
}

}  // namespace

Syntax doctor_syntax() {
  return {.about =
              "Looks at the machine (kernel, limits, nbdkit, clients) and at the store (file\n"
              "system, space, tables, disks, what dead servers left), and says for each thing\n"
              "whether it is in order, and what to do where it is not. Changes nothing.",
          .exit_codes = "  1 when there is a problem; notes are none\n",
          .examples = "  casdisk doctor\n"};
}

Result<int> run_doctor(Session& session, const Arguments&) {
  Findings findings = judge(machine_facts());
  TRY_ASSIGN(Findings of_store, store_findings(session));
  findings.insert(findings.end(), of_store.begin(), of_store.end());
  const auto problems = std::ranges::count(findings, Verdict::kProblem, &Finding::verdict);
  session.console().answer(
      text_of(findings) + (problems == 0
                               ? "no problems\n"
                               : fmt::format("{} problem{}\n", problems, problems == 1 ? "" : "s")),
      {{"problem_count", problems}, {"findings", json_of(findings)}});
  return problems == 0 ? kExitDone : kExitNo;
}

}  // namespace casdisk
