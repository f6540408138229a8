#include "nbd/auth/file_owner.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "cas/os/retry.h"

namespace casdisk {
namespace {

// What the kernel says of users that have no number here.
constexpr uid_t kNoNumber = 65534;

// Names a file without opening it. The close of another kind of descriptor would let go of the
// locks that LMDB has on the same file.
class Place {
 public:
  Place(int directory, const std::string& name, int flags)
      : descriptor_(retry_interrupted(
            [&] { return ::openat(directory, name.c_str(), O_PATH | O_CLOEXEC | flags); })),
        is_known_(descriptor_ >= 0 && ::fstat(descriptor_, &status_) == 0) {}
  ~Place() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  int descriptor() const { return descriptor_; }
  bool is_known() const { return is_known_; }
  bool is_directory() const { return is_known_ && S_ISDIR(status_.st_mode); }
  FileOwner owner() const { return {status_.st_uid, status_.st_gid}; }
  // Root's, and in no other place.
  bool may_be_given() const {
    return is_known_ && status_.st_uid == 0 &&
           (S_ISDIR(status_.st_mode) || (S_ISREG(status_.st_mode) && status_.st_nlink == 1));
  }
  bool give(const FileOwner& owner) const {
    return ::fchownat(descriptor_, "", owner.uid, owner.gid, AT_EMPTY_PATH) == 0;
  }

 private:
  struct stat status_ = {};
  const int descriptor_;
  const bool is_known_;
};

std::vector<std::string> names_in(const Place& directory) {
  std::vector<std::string> names;
  DIR* listing = ::opendir(fmt::format("/proc/self/fd/{}", directory.descriptor()).c_str());
  if (listing == nullptr) return names;
  while (const dirent* entry = ::readdir(listing)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(listing);
  return names;
}

FileOwner known_owner(const Place& directory) {
  const bool has_number = directory.is_directory() && directory.owner().uid != kNoNumber;
  return has_number ? directory.owner() : FileOwner{};
}

}  // namespace

FileOwner owner_of_files_in(const std::string& directory) {
  if (::geteuid() != 0) return {};
  return known_owner(Place(AT_FDCWD, directory, 0));
}

Result<void> hand_over(const std::string& directory, const std::string& name) {
  if (::geteuid() != 0) return {};
  const Place above(AT_FDCWD, directory, O_DIRECTORY);
  const FileOwner owner = known_owner(above);
  if (owner.uid == 0) return {};
  const auto give = [&](const Place& place, const std::string& what) -> Result<void> {
    if (!place.may_be_given() || place.give(owner)) return {};
    return os_error(errno, fmt::format("{}/{}: giving it to user {}", directory, what, owner.uid));
  };
  const Place given(above.descriptor(), name, O_NOFOLLOW);
  if (given.is_directory()) {
    for (const std::string& file : names_in(given)) {
      TRY(give(Place(given.descriptor(), file, O_NOFOLLOW), name + "/" + file));
    }
  }
  return give(given, name);
}

}  // namespace casdisk
