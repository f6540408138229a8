// ClientExports: what a server exports, as each client may see it.
//
// A client finds the disks that it may read; all others are for it as if they did not exist, in
// lists, as the default, by name, in words and in time: whether there is such a disk is not even
// looked up. Who may read and not write gets an export that takes no writes. Errors besides are
// those of Exports and of Guard::permit(). Safe to call from any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nbd/auth/guard.h"
#include "nbd/exports.h"

namespace casdisk {

class ClientExports {
 public:
  ClientExports(Exports& exports, Guard& guard) : exports_(exports), guard_(guard) {}

  // A list has no name that a token could stand in.
  Result<std::vector<ExportLine>> list(const Peer& peer);
  Result<std::string> default_name(const Peer& peer);
  // `name` is as the client gave it, with its token if it has one. Nothing of the token is in any
  // error.
  Result<std::unique_ptr<Exports::Handle>> open(const Peer& peer, const std::string& name);

 private:
  // The one that the client may see, or a refusal, which is noted.
  Result<std::string> default_for(const Permit& permit);

  Exports& exports_;
  Guard& guard_;
};

}  // namespace casdisk
