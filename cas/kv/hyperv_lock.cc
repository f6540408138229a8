#include "cas/kv/hyperv_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "cas/os/retry.h"

namespace casdisk {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::microseconds kFirstPause{100};
constexpr std::chrono::microseconds kLongestPause{10'000};

// Tries until `try_it` returns 0, fails with anything but "somebody else has it", or time is up.
template <typename Try>
Result<void> take(const File& file, const char* what, Clock::time_point deadline, Try try_it) {
  for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    if (retry_interrupted(try_it) == 0) return {};
    if (errno != EWOULDBLOCK && errno != EAGAIN && errno != EACCES) {
      return os_error(errno, fmt::format("{}: {} lock", file.path(), what));
    }
    if (Clock::now() >= deadline) {
      return Error{Fault::kBusy, 0,
                   fmt::format("{} is busy: another process keeps its {} lock; `lslocks` shows who",
                               file.path(), what)};
    }
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace

Result<void> lock_hyperv_pool(const File& file, HypervLock kind,
                              std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  const int descriptor = file.descriptor();
  const bool is_shared = kind == HypervLock::kShared;
  const int operation = (is_shared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  TRY(take(file, "flock", deadline, [&] { return ::flock(descriptor, operation); }));
  auto taken = take(file, "fcntl", deadline, [&] {
    struct flock whole = {};
    whole.l_type = is_shared ? F_RDLCK : F_WRLCK;
    whole.l_whence = SEEK_SET;
    return ::fcntl(descriptor, F_OFD_SETLK, &whole);
  });
  if (!taken.ok()) ::flock(descriptor, LOCK_UN);
  return taken;
}

bool is_current_file(const File& file) {
  struct stat open;
  struct stat named;
  return ::fstat(file.descriptor(), &open) == 0 && ::stat(file.path().c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

}  // namespace casdisk
