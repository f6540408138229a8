// Supervisor: keeps one server running behind a Listener until it is told to stop.
//
//   start ─ until it answers ─ until it dies ─ wait (backoff.h) ─ start ...
//
// A server that dies by a signal or fails is started again. One that ends with status 0 was told
// to, by somebody else: that ends the supervisor too. Waits are poll(2) on signals and sockets. One
// thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "cas/os/result.h"
#include "nbd/serve/listener.h"
#include "nbd/serve/nbdkit_command.h"

namespace casdisk {

class Supervisor {
 public:
  // How long a server may take to end when asked: nbdkit waits for idle clients, without bound.
  // Then it is killed, which loses nothing: what was acknowledged is in the kernel.
  static constexpr std::chrono::milliseconds kStopTime{5000};
  // A server without threads or descriptors to spare hangs up on who connects. So often it is
  // asked.
  static constexpr unsigned kMaxProbes = 10;
  static constexpr std::chrono::milliseconds kProbePause{200};

  // `name` is what is served, for messages.
  Supervisor(Listener& listener, NbdkitCommand command, std::string name)
      : listener_(listener), command_(std::move(command)), name_(std::move(name)) {}
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Returns after SIGTERM, SIGINT or SIGHUP (unless ignored), with the server gone. Calls
  // `on_ready` when the first server answers; an error of it ends everything. kIo when the first
  // server dies before, or hangs up on whoever connects.
  Result<void> run(const std::function<Result<void>()>& on_ready);

 private:
  enum class Event { kAnswered, kHungUp, kDied, kStop, kTime };
  using Clock = std::chrono::steady_clock;

  Result<void> start();
  void probe();
  Event wait_for_answer();
  Event wait_for_event(std::optional<Clock::time_point> until);
  bool take_signal();
  bool reap();
  bool take_greeting();
  void close_probe();
  void stop();
  std::string cause_of_death() const;

  // Fixed after construction.
  Listener& listener_;
  const NbdkitCommand command_;
  const std::string name_;

  int signals_ = -1;  // signalfd
  int probe_ = -1;    // our own connection, which waits for the server's greeting
  bool is_greeted_ = false;
  pid_t child_ = 0;  // 0: none
  int status_ = 0;   // of the last child, as waitpid gave it
  bool stopping_ = false;
};

}  // namespace casdisk
