#include "nbd/serve/supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "cas/os/retry.h"
#include "nbd/serve/backoff.h"

namespace casdisk {
namespace {

using std::chrono::milliseconds;

// The client's flags (fixed newstyle), then NBD_OPT_ABORT without data.
constexpr std::string_view kGoodbye("\0\0\0\1IHAVEOPT\0\0\0\2\0\0\0\0", 20);

bool is_ignored(int signal) {
  struct sigaction action;
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Blocks what the supervisor lives by, and opens the descriptor that reports it. What it was
// started to ignore (nohup, a script's background job) stays ignored, but for the death of its
// child.
Result<int> open_signals() {
  ::signal(SIGCHLD, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);  // nobody may read what it says any more; clients are served
  sigset_t watched;
  sigemptyset(&watched);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) {
    if (!is_ignored(signal)) sigaddset(&watched, signal);
  }
  if (::sigprocmask(SIG_BLOCK, &watched, nullptr) != 0) return os_error(errno, "sigprocmask");
  int descriptor = ::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor < 0) return os_error(errno, "signalfd");
  return descriptor;
}

}  // namespace

Supervisor::~Supervisor() {
  stop();
  if (signals_ >= 0) ::close(signals_);
}

Result<void> Supervisor::run(const std::function<Result<void>()>& on_ready) {
  TRY_ASSIGN(signals_, open_signals());
  Backoff backoff;
  bool was_ready = false;
  while (!stopping_) {
    Backoff::Life life;
    if (auto started = start(); !started.ok()) {
      // Out of processes, say: clients are being served, so it is tried again.
      if (!was_ready) return started;
      fmt::print(stderr, "casdisk: {}\n", describe(started.error()));
      if (wait_for_event(Clock::now() + backoff.next(life)) == Event::kStop) break;
      continue;
    }
    const auto born = Clock::now();
    Event event = wait_for_answer();
    if (event == Event::kHungUp) {
      if (!was_ready) {
        return Error{Fault::kIo, 0,
                     fmt::format("the server of {} hangs up on whoever connects; what it said is "
                                 "above (threads and open files are limited by ulimit -u and -n)",
                                 name_)};
      }
      event = wait_for_event(std::nullopt);
    }
    if (event == Event::kAnswered) {
      life.answered = true;
      if (!was_ready) TRY(on_ready());
      was_ready = true;
      event = wait_for_event(std::nullopt);
    }
    if (event == Event::kStop) break;
    if (!was_ready) {
      return Error{Fault::kIo, 0,
                   fmt::format("the server of {} {} before it answered; what it said is above",
                               name_, cause_of_death())};
    }
    if (WIFEXITED(status_) && WEXITSTATUS(status_) == 0) break;
    life.lived = std::chrono::duration_cast<milliseconds>(Clock::now() - born);
    const milliseconds wait = backoff.next(life);
    fmt::print(stderr, "casdisk: the server of {} {}; starting it again{}\n", name_,
               cause_of_death(), wait.count() == 0 ? "" : fmt::format(" in {} ms", wait.count()));
    if (wait_for_event(Clock::now() + wait) == Event::kStop) break;
  }
  listener_.remove();
  stop();
  return {};
}

Result<void> Supervisor::start() {
  TRY_ASSIGN(child_, start_nbdkit(command_, listener_.descriptor()));
  probe();
  return {};
}

// Without one, say because the queue is full of waiting clients, nobody learns that it answers.
void Supervisor::probe() {
  is_greeted_ = false;
  auto connected = listener_.connect();
  if (connected.ok()) probe_ = connected.value();
}

Supervisor::Event Supervisor::wait_for_answer() {
  for (unsigned asked_count = 1;; asked_count++) {
    Event event = wait_for_event(std::nullopt);
    if (event != Event::kHungUp || asked_count == kMaxProbes) return event;
    event = wait_for_event(Clock::now() + kProbePause);
    if (event != Event::kTime) return event;
    probe();
  }
}

// Waits for the child's greeting or death, for being told to stop, or until a time.
Supervisor::Event Supervisor::wait_for_event(std::optional<Clock::time_point> until) {
  for (;;) {
    if (stopping_) return Event::kStop;
    int timeout_ms = -1;
    if (until) {
      auto left = std::chrono::ceil<milliseconds>(*until - Clock::now());
      if (left.count() <= 0) return Event::kTime;
      timeout_ms = int(left.count());
    }
    std::array<pollfd, 2> waits{pollfd{signals_, POLLIN, 0}, pollfd{probe_, POLLIN, 0}};
    retry_interrupted([&] { return ::poll(waits.data(), waits.size(), timeout_ms); });
    while (take_signal()) {
    }
    if (child_ != 0 && reap()) {
      close_probe();
      return stopping_ ? Event::kStop : Event::kDied;
    }
    if (waits[1].revents == 0) continue;
    const bool is_new = take_greeting();
    if (stopping_) return Event::kStop;
    if (is_new) return Event::kAnswered;
    if (probe_ < 0 && !is_greeted_) return Event::kHungUp;
  }
}

// Notes one signal; false when there is none.
bool Supervisor::take_signal() {
  signalfd_siginfo info;
  if (::read(signals_, &info, sizeof(info)) != ssize_t(sizeof(info))) return false;
  if (info.ssi_signo != SIGCHLD) stopping_ = true;
  return true;
}

// True when the child is gone; status_ says how.
bool Supervisor::reap() {
  if (retry_interrupted([&] { return ::waitpid(child_, &status_, WNOHANG); }) != child_)
    return false;
  child_ = 0;
  return true;
}

// True when the probe has just been greeted. It takes its leave as the protocol wants it, and goes
// when the server has hung up, so that nothing is logged.
bool Supervisor::take_greeting() {
  char text[64];
  const ssize_t count = ::recv(probe_, text, sizeof(text), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (count <= 0) {
    close_probe();
    return false;
  }
  const std::string_view greeting = "NBDMAGIC";
  if (!std::string_view(text, size_t(count)).starts_with(greeting)) return false;
  is_greeted_ = true;
  if (::send(probe_, kGoodbye.data(), kGoodbye.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    close_probe();
  return true;
}

void Supervisor::close_probe() {
  if (probe_ >= 0) ::close(probe_);
  probe_ = -1;
}

void Supervisor::stop() {
  close_probe();
  if (child_ == 0) return;
  ::kill(child_, SIGTERM);
  const auto end = Clock::now() + kStopTime;
  while (child_ != 0 && !reap()) {
    auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
    if (left.count() <= 0) {
      ::kill(child_, SIGKILL);
      retry_interrupted([&] { return ::waitpid(child_, &status_, 0); });
      child_ = 0;
      return;
    }
    pollfd wait{signals_, POLLIN, 0};
    retry_interrupted([&] { return ::poll(&wait, 1, int(left.count())); });
    while (take_signal()) {
    }
  }
}

std::string Supervisor::cause_of_death() const {
  if (WIFSIGNALED(status_)) {
    return fmt::format("was killed by signal {} ({})", WTERMSIG(status_),
                       ::strsignal(WTERMSIG(status_)));
  }
  return fmt::format("ended with status {}", WEXITSTATUS(status_));
}

}  // namespace casdisk
