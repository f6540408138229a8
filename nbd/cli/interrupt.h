// Ctrl-C: SIGINT, SIGTERM and SIGHUP ask import and export to stop and clean up.
//
// A second signal ends the process as usual, should cleaning up hang. Other commands need none of
// this: what they do is one transaction, and dying in the middle of it leaves nothing.
#pragma once

#include "cas/os/result.h"

namespace casdisk {

void stop_on_signals();

// Safe from any thread.
bool stop_requested();

// The error of work that stopped for it: exit code 130.
Error stopped_error();

}  // namespace casdisk
