// nbdkit_command: the nbdkit process that serves ServeOptions, as a command line and as a child.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "cas/os/result.h"
#include "nbd/serve/serve.h"

namespace casdisk {

struct NbdkitCommand {
  std::string program;  // absolute
  std::vector<std::string> arguments;
};

// nbdkit from PATH with our plugin: $CASDISK_PLUGIN, else the one beside this executable, else the
// installed one. kUnsupported when nbdkit is not installed. `store` is absolute, and so is
// `psk_file`, which makes it a server of TLS; empty: none.
Result<NbdkitCommand> nbdkit_command(const ServeOptions& options, const std::string& store,
                                     const std::string& psk_file = "");

// Starts it with the listening socket, by socket activation. Its stdout and stderr are our stderr.
// When this process dies, however it dies, so does the child: no orphan keeps a disk's lease.
// REQUIRES: the process has one thread.
Result<pid_t> start_nbdkit(const NbdkitCommand& command, int listening_descriptor);

}  // namespace casdisk
