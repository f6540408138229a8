// FileOwner: whose the files of users and tokens are.
//
// They are of whoever has the store. Others than root can make files of their own only; what root
// makes goes to the store's owner, whose servers could not read it else.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <string>

#include "cas/os/result.h"

namespace casdisk {

struct FileOwner {
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
};

// For root whoever has the directory, else this process's user; that one too where the directory is
// not there, or its owner has no number in this user namespace.
FileOwner owner_of_files_in(const std::string& directory);

// For root: gives to the owner of `directory` what root has made in it as `name`, a file or a
// directory with files. No link is followed, and no file given away that has another name, too:
// the owner may have put it there.
Result<void> hand_over(const std::string& directory, const std::string& name);

}  // namespace casdisk
