// The exit codes of the command, and which failure has which.
#pragma once

#include "cas/os/result.h"

namespace casdisk {

inline constexpr int kExitDone = 0;
inline constexpr int kExitNo = 1;  // not found, exists already, differs: the answer is no
inline constexpr int kExitUsage = 2;
inline constexpr int kExitFailed = 3;  // I/O, damage, a full disk
inline constexpr int kExitBusy = 4;
inline constexpr int kExitInterrupted = 130;  // as shells say it for SIGINT

int exit_code(const Error& error);

}  // namespace casdisk
