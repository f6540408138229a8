// PskRefresh: keeps the file of TLS keys that nbdkit reads (`--tls-psk`) as the records are.
//
// nbdkit reads the file anew for each handshake, and asks us when a connection begins: so a key
// that was taken away is good for no connection that begins after the command that did it has
// returned, whatever process that was on whatever machine, and a new key is good at once. A client
// that was connected by then and stalls before its handshake may have the file as it was before, if
// nobody else has connected since. Safe to call from any thread.
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
