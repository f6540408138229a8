#include "cas/os/result.h"

#include <cerrno>
#include <cstring>
#include <string_view>

namespace casdisk {
namespace {

// What a person can do about it; empty where errno alone does not tell.
std::string_view remedy(int error_number) {
  switch (error_number) {
    case EROFS:
      return "mount the file system so that it can be written to";
    case EACCES:
    case EPERM:
      return "run this as its owner, or give this user access";
    case ENOSPC:
      return "make room on the file system; what was acknowledged stays readable";
    case EDQUOT:
      return "raise the quota or remove something; what was acknowledged stays readable";
    case EMFILE:
      return "raise this process's limit of open files (ulimit -n, LimitNOFILE=)";
    case ENFILE:
      return "raise the system's limit of open files (sysctl fs.file-max)";
    case EAGAIN:
      return "raise the limit of processes and threads (ulimit -u, TasksMax=)";
    case ENOMEM:
      return "raise the limit of memory or lower --cache";
    case EIO:
    case ESHUTDOWN:
      return "the kernel's log (dmesg) says what the device did";
    default:
      return {};
  }
}

}  // namespace

Error os_error(int error_number, std::string context) {
  Fault fault = Fault::kIo;
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      fault = Fault::kNotFound;
      break;
    case EEXIST:
      fault = Fault::kExists;
      break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      fault = Fault::kNoSpace;
      break;
    case EOPNOTSUPP:
    case ENOSYS:
      fault = Fault::kUnsupported;
      break;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
      fault = Fault::kUnavailable;
      break;
    default:
      break;
  }
  return Error{fault, error_number, std::move(context)};
}

std::string describe(const Error& error) {
  if (error.os_error == 0) return error.context;
  std::string text = error.context + ": " + std::strerror(error.os_error);
  if (auto advice = remedy(error.os_error); !advice.empty()) text.append("; ").append(advice);
  return text;
}

}  // namespace casdisk
