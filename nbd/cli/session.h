// Session: what every command works with: the global options, the console, the store.
//
// Made by main, used by one thread; what it hands out is as thread-safe as its own header says.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cas/os/file_system.h"
#include "index/names.h"
#include "index/store.h"
#include "index/volume.h"
#include "nbd/cli/arguments.h"
#include "nbd/cli/console.h"
#include "nbd/cli/progress.h"

namespace casdisk {

struct GlobalOptions {
  std::optional<std::string> store;  // as given; see Session::store_path
  bool json = false;
  bool quiet = false;
  IoChoice io = IoChoice::kAuto;
  std::optional<uint64_t> cache_bytes;
};
Result<GlobalOptions> global_options_of(const Arguments& arguments);

class Session {
 public:
  Session(const GlobalOptions& options, Console& console) : options_(options), console_(console) {}

  const GlobalOptions& options() const { return options_; }
  Console& console() { return console_; }

  Result<std::string> store_path() const;
  // Opened at the first call, closed with the session.
  Result<Store*> store();

  // To read: a checkpoint, or a disk. That takes its lease or, from a server that has it, the disk
  // as it is now, sealed.
  Result<std::shared_ptr<Volume>> open_volume(const VolumeName& name);

  // For ProgressBar.
  ProgressBar::Visible progress() const {
    return console_.shows_progress() ? ProgressBar::Visible::kYes : ProgressBar::Visible::kNo;
  }

 private:
  // Fixed after construction.
  const GlobalOptions options_;
  Console& console_;

  std::unique_ptr<Store> store_;
};

// The threads of a command: --threads, else one for each core.
inline constexpr unsigned kMaxThreads = 256;
Result<unsigned> threads_of(const Arguments& arguments);
extern const OptionSyntax kThreadsOption;

// A name that the user gave and that must be a disk's: "a@b" is kInvalid.
Result<std::string> disk_name(const std::string& text);

// The first two positionals: DISK NAME, DISK@NAME, or DISK alone: then without a checkpoint. `ls`
// and `log` print DISK@NAME, so that is taken for a NAME too.
Result<VolumeName> named_checkpoint(const Arguments& arguments);

}  // namespace casdisk
