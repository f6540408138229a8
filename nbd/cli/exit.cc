#include "nbd/cli/exit.h"

#include <cerrno>

namespace casdisk {

int exit_code(const Error& error) {
  if (error.os_error == EINTR) return kExitInterrupted;
  switch (error.fault) {
    case Fault::kNotFound:
    case Fault::kExists:
    case Fault::kDiffers:
    case Fault::kConflict:
      return kExitNo;
    case Fault::kInvalid:
    case Fault::kTooLarge:
      return kExitUsage;
    case Fault::kBusy:
      return kExitBusy;
    case Fault::kNoSpace:
    case Fault::kIo:
    case Fault::kDamaged:
    case Fault::kPoisoned:
    case Fault::kUnsupported:
    case Fault::kLimit:
    case Fault::kUnavailable:
      return kExitFailed;
  }
  return kExitFailed;
}

}  // namespace casdisk
