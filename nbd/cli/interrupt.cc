#include "nbd/cli/interrupt.h"

#include <signal.h>

#include <atomic>
#include <cerrno>

namespace casdisk {
namespace {

std::atomic<bool> stop = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // so that a signal handler may set it

void request_stop(int) { stop = true; }

}  // namespace

void stop_on_signals() {
  struct sigaction action = {};
  action.sa_handler = request_stop;
  action.sa_flags = int(SA_RESETHAND);  // system calls are interrupted; the next signal kills
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

bool stop_requested() { return stop; }

Error stopped_error() { return Error{Fault::kIo, EINTR, "stopped"}; }

}  // namespace casdisk
