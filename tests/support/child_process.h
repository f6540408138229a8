// ChildProcess: another process of the same program, for tests of what processes share.
#pragma once

#include <sys/types.h>

#include <functional>

namespace casdisk {

class ChildProcess {
 public:
  // Forks; the child runs `body` and exits without running destructors, successfully if it returned
  // true. REQUIRES: no other threads that hold locks the body needs.
  explicit ChildProcess(const std::function<bool()>& body);
  // Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Waits for its end; true when its body returned true.
  bool succeeded();
  // SIGKILL, and waits for its end.
  void kill();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

}  // namespace casdisk
