#include "nbd/serve/psk_file_in_run.h"

#include <dirent.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include "nbd/auth/access.h"
#include "nbd/auth/crypto.h"
#include "nbd/auth/private_file.h"
#include "nbd/auth/psk_file.h"

namespace casdisk {
namespace {

constexpr std::string_view kSuffix = ".psk";

// A file of keys, or an unfinished one, whose maker is gone. One that lives where we cannot see it
// has its server write the file again.
bool is_left_over(std::string_view name) {
  name = name.substr(0, name.find(kUnfinishedMark));
  if (!name.ends_with(kSuffix)) return false;
  const std::string_view digits = name.substr(0, name.size() - kSuffix.size());
  pid_t pid = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  if (error != std::errc() || end != digits.data() + digits.size() || pid <= 0) return false;
  return ::kill(pid, 0) != 0 && errno == ESRCH;
}

void sweep(const std::string& run) {
  DIR* listing = ::opendir(run.c_str());
  if (listing == nullptr) return;
  std::vector<std::string> left_over;
  while (const dirent* entry = ::readdir(listing)) {
    if (is_left_over(entry->d_name)) left_over.push_back(run + "/" + entry->d_name);
  }
  ::closedir(listing);
  for (const std::string& path : left_over) ::unlink(path.c_str());
}

}  // namespace

Result<PskFileInRun> PskFileInRun::make(const std::string& store, const AccessSettings& settings) {
  TRY_ASSIGN(auto access, Access::open(settings));
  if (!access) {
    return Error{Fault::kInvalid, 0,
                 "--tls: the store has no users yet, and TLS here goes by their keys: "
                 "`casdisk user --help` says how to make some"};
  }
  const std::string run = store + "/run";
  if (::mkdir(run.c_str(), 0700) != 0 && errno != EEXIST) return os_error(errno, run);
  sweep(run);
  TRY_ASSIGN(std::string text, access->psk_file_text());
  const WipedAtEnd wiped(text);
  PskFileInRun made(fmt::format("{}/{}{}", run, ::getpid(), kSuffix));
  TRY(write_psk_file(made.path_, text, settings.files_owner()));
  if (text.empty()) {
    fmt::print(stderr, "casdisk: nobody has a key for TLS yet, so nobody can connect\n");
  }
  return made;
}

PskFileInRun::PskFileInRun(PskFileInRun&& other) noexcept : path_(std::exchange(other.path_, "")) {}

PskFileInRun::~PskFileInRun() {
  if (path_.empty()) return;
  ::unlink(path_.c_str());
  remove_unfinished(path_);
}

}  // namespace casdisk
