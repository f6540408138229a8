// LocalServer: a server of somebody else's that a test runs: redis-server, etcd.
//
// It listens on a Unix socket or on 127.0.0.1, keeps its data in a directory of the test's, and
// ends with this object, with the thread that started it, or when it is killed. Not safe for
// concurrent use.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "cas/os/result.h"

namespace casdisk {

class LocalServer {
 public:
  virtual ~LocalServer();
  LocalServer() = default;
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  // Its program; "redis-server".
  virtual std::string program() const = 0;
  // What a key-value store opens: with a prefix of its own, or with the one that stores have.
  virtual std::string url(const std::string& prefix = {}) const = 0;

  // Why it cannot be run here; empty: it can.
  std::string skip_reason() const;
  // Runs it, on the data that are there, and waits until it answers.
  Result<void> start();
  // Sends a signal; of SIGKILL and SIGTERM it waits for the end, of SIGSTOP until it stands still.
  void signal(int number);
  bool is_running() const { return pid_ > 0; }

 protected:
  virtual std::vector<std::string> arguments() = 0;
  // Whether it answers.
  virtual bool is_ready() const = 0;
  virtual std::string log_path() const = 0;

 private:
  bool has_ended();

  pid_t pid_ = -1;
};

// Syncs its log before each answer, on a Unix socket; `more` are arguments that may say otherwise.
std::unique_ptr<LocalServer> make_redis_server(const std::string& directory,
                                               std::vector<std::string> more = {});
// A cluster of one.
std::unique_ptr<LocalServer> make_etcd_server(const std::string& directory,
                                              std::vector<std::string> more = {});

}  // namespace casdisk
