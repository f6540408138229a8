// ScriptedServer: a server on 127.0.0.1 that answers what the test tells it to, or hangs up.
//
// It takes whatever arrives in one piece for one request, on one connection at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace casdisk {

class ScriptedServer {
 public:
  ScriptedServer();
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  uint16_t port() const { return port_; }
  // To the next request that has none yet; empty: to hang up. After the last answer it hangs up.
  void answer(std::string text);
  // All that arrived so far.
  std::vector<std::string> requests();

 private:
  void serve();
  // False: the connection is at its end.
  bool serve_one(int connection_fd);

  int listener_fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> is_over_ = false;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::deque<std::string> answers_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace casdisk
