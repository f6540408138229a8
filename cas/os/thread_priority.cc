#include "cas/os/thread_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace casdisk {
namespace {

constexpr int kNice = 10;

// From linux/ioprio.h, which not every system has.
constexpr int kIoprioWhoProcess = 1;
constexpr int kIoprioClassBestEffort = 2 << 13;
constexpr int kIoprioLowest = 7;

}  // namespace

void give_way_to_others() {
  // On Linux both count for a thread alone when they are given its id.
  const auto thread = ::syscall(SYS_gettid);
  (void)::setpriority(PRIO_PROCESS, id_t(thread), kNice);
  (void)::syscall(SYS_ioprio_set, kIoprioWhoProcess, thread,
                  kIoprioClassBestEffort | kIoprioLowest);
}

}  // namespace casdisk
