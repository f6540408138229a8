#include "tests/support/child_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "cas/os/result.h"

namespace casdisk {

ChildProcess::ChildProcess(const std::function<bool()>& body) : pid_(::fork()) {
  CHECK(pid_ >= 0);
  if (pid_ == 0) ::_exit(body() ? 0 : 1);
}

ChildProcess::~ChildProcess() { kill(); }

bool ChildProcess::succeeded() {
  int status = 0;
  const bool ended = ::waitpid(pid_, &status, 0) == pid_;
  pid_ = -1;
  return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void ChildProcess::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace casdisk
