#include "nbd/kv/timing_text.h"

#include <fmt/format.h>

#include "nbd/size_text.h"

namespace casdisk {

std::string_view fault_text(Fault fault) {
  switch (fault) {
    case Fault::kNotFound:
      return "not found";
    case Fault::kExists:
      return "exists";
    case Fault::kInvalid:
      return "invalid";
    case Fault::kBusy:
      return "busy";
    case Fault::kNoSpace:
      return "no space";
    case Fault::kIo:
      return "I/O error";
    case Fault::kDamaged:
      return "damaged";
    case Fault::kPoisoned:
      return "poisoned";
    case Fault::kUnsupported:
      return "unsupported";
    case Fault::kDiffers:
      return "differs";
    case Fault::kConflict:
      return "conflict";
    case Fault::kTooLarge:
      return "too large";
    case Fault::kLimit:
      return "limit";
    case Fault::kUnavailable:
      return "unavailable";
  }
  return "failed";
}

std::string timing_text(const KvTiming& timing) {
  std::string text =
      fmt::format("{}: {}.{:03} ms, {}", timing.operation, timing.microseconds / 1000,
                  timing.microseconds % 1000, timing.fault ? fault_text(*timing.fault) : "done");
  if (timing.key_bytes != 0) text += fmt::format(", key {} B", timing.key_bytes);
  if (timing.value_bytes != 0) text += fmt::format(", value {} B", timing.value_bytes);
  if (timing.ttl_ms != 0) text += fmt::format(", time to live {} s", timing.ttl_ms / 1000);
  return text + ", " + plural(timing.count, "record");
}

}  // namespace casdisk
