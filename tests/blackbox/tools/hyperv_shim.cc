// What hv_kvp_daemon takes for a guest of Hyper-V, where there is none: LD_PRELOAD it into the
// daemon.
//
//   HYPERV_DEVICE=N           an open SOCK_SEQPACKET socket, which becomes /dev/vmbus/hv_kvp
//   HYPERV_DIRECTORY=PATH     stands for /var/lib/hyperv
//
// Everything else is as it is, but that no name server is asked.
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

constexpr std::string_view kDevice = "/dev/vmbus/hv_kvp";
constexpr std::string_view kDirectory = "/var/lib/hyperv";

std::string moved(std::string_view path) {
  const char* directory = std::getenv("HYPERV_DIRECTORY");
  if (directory == nullptr || !path.starts_with(kDirectory)) return std::string(path);
  return directory + std::string(path.substr(kDirectory.size()));
}

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

EXPORTED int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  const char* device = std::getenv("HYPERV_DEVICE");
  if (path == kDevice && device != nullptr) return ::dup(std::atoi(device));
  return next<int(const char*, int, ...)>("open")(moved(path).c_str(), flags, mode);
}

EXPORTED FILE* fopen(const char* path, const char* mode) {
  return next<FILE*(const char*, const char*)>("fopen")(moved(path).c_str(), mode);
}

EXPORTED int access(const char* path, int mode) noexcept {
  return next<int(const char*, int)>("access")(moved(path).c_str(), mode);
}

EXPORTED int mkdir(const char* path, mode_t mode) noexcept {
  return next<int(const char*, mode_t)>("mkdir")(moved(path).c_str(), mode);
}

EXPORTED int getaddrinfo(const char*, const char*, const struct addrinfo*, struct addrinfo**) {
  return EAI_FAIL;
}
