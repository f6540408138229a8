#include "cas/os/result.h"

#include <cerrno>
#include <cstring>

namespace casdisk {

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
    default:
      break;
  }
  return Error{fault, error_number, std::move(context)};
}

std::string describe(const Error& error) {
  if (error.os_error == 0) return error.context;
  return error.context + ": " + std::strerror(error.os_error);
}

}  // namespace casdisk
