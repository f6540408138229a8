#include "nbd/cli/doctor_machine.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "cas/os/file_system.h"
#include "nbd/cli/format.h"
#include "nbd/serve/nbdkit_command.h"

namespace casdisk {
namespace {

constexpr const char* kClients[] = {"nbd-client", "qemu-nbd", "nbdfuse", "nbdcopy"};
constexpr uint64_t kFewOpenFiles = 1024;       // packs take 256, each client and disk a few more
constexpr uint64_t kFewLockedBytes = 8 << 20;  // kernels before 5.12 lock a ring's memory
constexpr size_t kMaxOutputBytes = 64 * 1024;

struct Version {
  unsigned major = 0, minor = 0;
  auto operator<=>(const Version&) const = default;
};

// The first two numbers in a text.
Version version_in(std::string_view text) {
  Version version;
  const size_t at = text.find_first_of("0123456789");
  if (at == text.npos) return version;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + at, end, version.major);
  if (error == std::errc() && rest != end && *rest == '.') {
    std::from_chars(rest + 1, end, version.minor);
  }
  return version;
}

struct Output {
  std::string text;
  bool succeeded = false;
};

// What a program prints, errors too. `command` is ours, but for paths, which it quotes.
Output output_of(const std::string& command) {
  Output output;
  std::FILE* pipe = ::popen((command + " </dev/null 2>&1").c_str(), "re");
  if (pipe == nullptr) return output;
  char part[4096];
  for (size_t count; (count = std::fread(part, 1, sizeof(part), pipe)) > 0;) {
    if (output.text.size() < kMaxOutputBytes) output.text.append(part, count);
  }
  output.succeeded = ::pclose(pipe) == 0;
  return output;
}

std::string quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

bool is_in_path(const std::string& program) {
  const char* variable = std::getenv("PATH");
  const std::string path = fmt::format("{}:/usr/sbin:/sbin:/usr/local/sbin",
                                       variable == nullptr ? "/usr/bin:/bin" : variable);
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find(':', at), path.size());
    if (::access((path.substr(at, end - at) + "/" + program).c_str(), X_OK) == 0) return true;
    at = end + 1;
  }
  return false;
}

uint64_t limit_of(decltype(RLIMIT_NOFILE) resource) {
  struct rlimit limit;
  return ::getrlimit(resource, &limit) == 0 ? uint64_t(limit.rlim_cur) : 0;
}

void gather_nbdkit(MachineFacts& facts) {
  auto command = nbdkit_command(ServeOptions(), "/");
  if (!command.ok()) return;
  const std::string program = quoted(command.value().program);
  facts.nbdkit = first_line(output_of(program + " --version").text);
  const auto& arguments = command.value().arguments;
  const auto store = std::ranges::find_if(
      arguments, [](const std::string& argument) { return argument.starts_with("store="); });
  facts.plugin = *std::prev(store);
  const Output dumped = output_of(program + " --dump-plugin " + quoted(facts.plugin));
  if (!dumped.succeeded) facts.plugin_failure = first_line(dumped.text);
}

Finding kernel_finding(const MachineFacts& facts) {
  Finding finding{Verdict::kOk, "kernel", facts.kernel, ""};
  if (version_in(facts.kernel) < Version{6, 8}) {
    finding.verdict = Verdict::kNote;
    finding.text += ": mount ids are used again within one boot";
    finding.remedy =
        "reboot after the device under the store has lost writes; do not just mount it again "
        "(6.8 and later can tell)";
  }
  return finding;
}

Finding ring_finding(const MachineFacts& facts) {
  if (facts.ring_failure.empty()) return {Verdict::kOk, "io_uring", "available", ""};
  Finding finding{Verdict::kNote, "io_uring",
                  "not available (" + facts.ring_failure + "): plain calls are used, one by one",
                  "allow io_uring_setup in the container's seccomp profile"};
  if (facts.io_uring_disabled != 0) {
    finding.remedy = "sysctl kernel.io_uring_disabled=0";
  } else if (facts.max_locked_bytes < kFewLockedBytes &&
             version_in(facts.kernel) < Version{5, 12}) {
    finding.remedy = fmt::format("raise the limit of locked memory, {} now: ulimit -l",
                                 human_bytes(facts.max_locked_bytes));
  }
  return finding;
}

Finding files_finding(const MachineFacts& facts) {
  Finding finding{Verdict::kOk, "open files", fmt::format("up to {}", facts.max_open_files), ""};
  if (facts.max_open_files < kFewOpenFiles) {
    finding.verdict = Verdict::kProblem;
    finding.remedy = fmt::format(
        "ulimit -n {}, or LimitNOFILE= of the service: packs alone take "
        "up to 256",
        kFewOpenFiles);
  }
  return finding;
}

Findings nbdkit_findings(const MachineFacts& facts) {
  if (facts.nbdkit.empty()) {
    return {{Verdict::kProblem, "nbdkit", "not installed: disks cannot be served",
             "apt-get install nbdkit, or scripts/install-packages"}};
  }
  Findings findings = {{Verdict::kOk, "nbdkit", facts.nbdkit, ""}};
  if (version_in(facts.nbdkit) < Version{1, 32}) {
    findings[0].verdict = Verdict::kProblem;
    findings[0].remedy = "1.32 or later is needed";
  }
  if (facts.plugin_failure.empty()) {
    findings.push_back({Verdict::kOk, "plugin", facts.plugin + " loads", ""});
  } else {
    findings.push_back({Verdict::kProblem, "plugin",
                        facts.plugin + " does not load: " + facts.plugin_failure,
                        "install casdisk with scripts/install, or set CASDISK_PLUGIN to the path "
                        "of nbdkit-casdisk-plugin.so"});
  }
  return findings;
}

Finding client_finding(const MachineFacts& facts) {
  if (facts.clients.empty()) {
    return {Verdict::kNote, "clients", "none found to attach a disk on this machine with",
            "apt-get install nbd-client, qemu-utils or libnbd-bin; virtual machines need none"};
  }
  Finding finding{Verdict::kOk, "clients", "", ""};
  for (const std::string& client : facts.clients) {
    finding.text += (finding.text.empty() ? "" : ", ") + client;
  }
  return finding;
}

}  // namespace

MachineFacts machine_facts() {
  MachineFacts facts;
  struct utsname name;
  if (::uname(&name) == 0) facts.kernel = name.release;
  auto rings = make_file_system(IoChoice::kUring, nullptr);
  if (!rings.ok()) facts.ring_failure = describe(rings.error());
  std::ifstream("/proc/sys/kernel/io_uring_disabled") >> facts.io_uring_disabled;
  facts.max_open_files = limit_of(RLIMIT_NOFILE);
  facts.max_locked_bytes = limit_of(RLIMIT_MEMLOCK);
  gather_nbdkit(facts);
  for (const char* client : kClients) {
    if (is_in_path(client)) facts.clients.push_back(client);
  }
  return facts;
}

Findings judge(const MachineFacts& facts) {
  Findings findings = {kernel_finding(facts), ring_finding(facts), files_finding(facts)};
  for (Finding& finding : nbdkit_findings(facts)) findings.push_back(std::move(finding));
  findings.push_back(client_finding(facts));
  return findings;
}

}  // namespace casdisk
