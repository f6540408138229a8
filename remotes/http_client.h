// HttpClient: HTTP requests over connections that are kept. The one door to libcurl.
//
// Safe to call from any thread; a request waits while kMaxHttpConnections others are under way. It
// follows no redirect and no proxy of the environment. Make it behind a fork.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "cas/os/result.h"
#include "remotes/connection_pool.h"

namespace casdisk {

inline constexpr size_t kMaxHttpConnections = 16;

struct HttpPost {
  std::string url;
  std::string_view body;
  std::chrono::milliseconds timeout{10'000};  // of all of it
  size_t most_bytes = 0;                      // of the answer
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// What became of a request.
struct HttpOutcome {
  Result<HttpAnswer> answer;  // kUnavailable; kTooLarge: the answer is
  bool was_sent = false;      // of a failure: the server may have carried it out
};

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sends JSON. It is sent once: where a connection that was kept breaks under it, it fails.
  HttpOutcome post(const HttpPost& request);

 private:
  class Handle;
  ConnectionPool<Handle> pool_;
};

}  // namespace casdisk
