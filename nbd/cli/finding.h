// A finding of `casdisk doctor`: one line, and what to do about it.
#pragma once

#include <string>
#include <vector>

namespace casdisk {

enum class Verdict {
  kOk,
  kNote,     // works, and could be better or wants to be known
  kProblem,  // something does not work, or is at risk
};

struct Finding {
  Verdict verdict = Verdict::kOk;
  std::string subject;  // "kernel", "free space", "disk web"
  std::string text;
  std::string remedy;  // empty where there is nothing to do
};

using Findings = std::vector<Finding>;

}  // namespace casdisk
