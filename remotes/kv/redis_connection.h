// RedisConnection: one connection to a Redis server, one command at a time. The one door to
// hiredis.
//
// Not safe for concurrent use. After an error of the connection (is_broken()) it is of no use any
// more.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cas/os/result.h"

struct redisContext;

namespace casdisk {

struct RedisReply {
  enum class Kind { kNil, kText, kNumber, kArray, kError };
  Kind kind = Kind::kNil;
  std::string text;  // of kText; of kError what the server said
  int64_t number = 0;
  std::vector<RedisReply> elements;
};

struct RedisAddress {
  std::string name;         // as errors say it
  std::string host;         // or:
  std::string socket_path;  // of a Unix socket
  uint16_t port = 6379;
  std::string user;
  std::string password;
  uint64_t database = 0;
  std::chrono::milliseconds timeout{10'000};  // of a command and its whole answer
};

class RedisConnection {
 public:
  // Connects, authenticates, selects the database. kUnavailable: nobody answers, or not now.
  // kInvalid: the server does not let this user in.
  static Result<std::unique_ptr<RedisConnection>> open(const RedisAddress& address);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  // The server's reply, kError too. kUnavailable: the connection broke, or there was no whole
  // answer in time. kTooLarge: an answer that is none of ours.
  Result<RedisReply> command(std::span<const std::string_view> arguments);
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }

  bool is_broken() const { return is_broken_; }
  // Of a command that failed: whether the server may have carried it out.
  bool may_have_run() const { return may_have_run_; }
  // Whether the server has hung up, or sent what nobody asked for, since the last command.
  bool is_stale() const;

 private:
  RedisConnection(redisContext* context, std::string name, std::chrono::milliseconds timeout);
  using Clock = std::chrono::steady_clock;
  Result<void> wait_for(short events);
  Result<void> send_all(std::string_view bytes);
  Result<void> send(std::span<const std::string_view> arguments);
  Result<size_t> receive(std::span<char> buffer);
  Result<RedisReply> receive_reply();
  Result<void> introduce(const RedisAddress& address);
  Error lost(std::string_view what);

  // Fixed after construction.
  redisContext* const context_;
  const std::string name_;

  std::chrono::milliseconds timeout_;
  Clock::time_point deadline_;  // of the command that runs
  bool is_broken_ = false;
  bool may_have_run_ = false;
};

// What a reply of kError means: kUnavailable (loading, busy, a replica), kNoSpace (maxmemory),
// kInvalid (not let in), kUnsupported (a cluster), else kIo. It holds no argument of the command.
Error redis_error(const std::string& server, const RedisReply& reply);

}  // namespace casdisk
