#include "cas/kv/rocksdb_error.h"

#include <fmt/format.h>
#include <rocksdb/status.h>

#include <cerrno>
#include <cstring>

namespace casdisk {

using rocksdb::Status;

bool is_rocksdb_no_space(const Status& status) {
  if (status.IsNoSpace()) return true;
  return status.IsIOError() && status.ToString().find(std::strerror(EDQUOT)) != std::string::npos;
}

Error rocksdb_error(const Status& status, const std::string& directory,
                    std::string_view operation) {
  std::string context = fmt::format("{}: {}", directory, operation);
  if (is_rocksdb_no_space(status)) return os_error(ENOSPC, std::move(context));
  context += ": " + status.ToString();
  Fault fault = Fault::kIo;
  if (status.IsCorruption() || status.IsPathNotFound()) {
    fault = Fault::kDamaged;  // or a file of it is gone
    context += "; restore it from a snapshot or a dump";
  } else if (status.severity() >= Status::kFatalError) {
    fault = Fault::kPoisoned;
    context += "; nothing more is written: look at the device, and restart this process";
  } else if (status.IsBusy() || status.IsTimedOut() || status.IsTryAgain()) {
    fault = Fault::kBusy;
  } else if (status.IsNotSupported()) {
    fault = Fault::kUnsupported;
  } else if (status.IsInvalidArgument()) {
    fault = Fault::kInvalid;
  }
  return Error{fault, 0, std::move(context)};
}

}  // namespace casdisk
