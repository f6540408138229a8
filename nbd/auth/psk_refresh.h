// PskRefresh: keeps the file of TLS keys that nbdkit reads (`--tls-psk`) as the records are.
//
// nbdkit reads the file anew for each handshake, and asks us before it: so a user whose key was
// taken away is out when the command that did it returns, whatever process that was on whatever
// machine, and a new key is good at once. Safe to call from any thread.
#pragma once

#include <mutex>
#include <string>

#include "nbd/auth/guard.h"

namespace casdisk {

class PskRefresh {
 public:
  // `path` is absolute; empty: there is no file to keep.
  PskRefresh(Guard& guard, std::string path) : guard_(guard), path_(std::move(path)) {}

  // Before each handshake. An error means that nobody may come in: the file may be out of date.
  Result<void> refresh();

 private:
  // Fixed after construction.
  Guard& guard_;
  const std::string path_;

  std::mutex mutex_;  // held from reading the records to writing the file: the last one is newest
};

}  // namespace casdisk
