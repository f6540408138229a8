// PskFileInRun: the file of TLS keys of one `casdisk serve --tls`: STORE/run/PID.psk.
//
// Made before the server that reads it, which keeps it as the records are (psk_refresh.h); gone
// with its maker. What a maker or a server that was killed has left, finished or not, the next one
// removes. One thread.
#pragma once

#include <string>

#include "cas/os/result.h"
#include "nbd/auth/access_settings.h"

namespace casdisk {

class PskFileInRun {
 public:
  // kInvalid, with what to do, where the store is not guarded. Says on stderr when nobody has a key
  // yet.
  static Result<PskFileInRun> make(const std::string& store, const AccessSettings& settings);
  PskFileInRun(PskFileInRun&& other) noexcept;
  PskFileInRun& operator=(PskFileInRun&&) = delete;
  ~PskFileInRun();

  const std::string& path() const { return path_; }

 private:
  explicit PskFileInRun(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace casdisk
