// serve: `casdisk serve`, an nbdkit process behind a listening socket that outlives it.
//
//   serve.cc ─ checks ─ listener ─ supervisor (nbdkit, restarted when it dies)
//
// nbdkit 1.32 aborts when a client vanishes with two requests in flight, and a killed VM is an
// everyday event. The listening socket is ours and handed down by socket activation, so clients
// that connect while there is no server wait in its queue instead of being refused.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cas/os/file_system.h"
#include "cas/os/result.h"

namespace casdisk {

struct ServeOptions {
  std::string store;   // the store's directory, as --store or default_store_path() says
  std::string volume;  // "disk" or "disk@checkpoint"; empty: every disk of the store (--all)

  // Where to listen. --socket and --port exclude each other. Neither: a unix socket at
  // STORE/run/DISK.sock, with --all at STORE/run/_all.sock.
  std::string socket_path;
  std::optional<uint16_t> port;            // 0: any free port, which the URI then says
  std::string bind_address = "127.0.0.1";  // --bind, with --port alone: an IP address

  bool read_only = false;                         // --read-only
  std::optional<uint64_t> cache_bytes;            // --cache; unset: the plugin's default
  IoChoice io = IoChoice::kAuto;                  // --io
  std::optional<uint64_t> overlay_limit_bytes;    // --overlay-limit; unset: the plugin's default
  std::optional<std::chrono::seconds> seal_idle;  // --seal-idle; unset: the plugin's default
  bool write_behind = true;                       // --no-write-behind: writes wait for a flush
  std::string access_url;          // --access; empty: $CASDISK_ACCESS, else the store's own records
  bool tls = false;                // --tls, with --port alone: nothing but TLS, by the users' keys
  bool structured_replies = true;  // --no-sr: without them reads are cheaper, and nobody sees holes
  unsigned threads = 16;           // --threads, of each connection; 1 to kMaxServeThreads
  bool json = false;               // --json: {"uri", "socket" or "port", "pid"} on one line
};

inline constexpr unsigned kMaxServeThreads = 256;

// Serves until SIGTERM, SIGINT or SIGHUP, and gives the exit status (0). What can be found out
// beforehand is an error before anything listens: kNotFound (no such store, disk or checkpoint),
// kBusy (the disk or the socket is held by another process), kInvalid (options that do not go
// together). Prints the URI, or the JSON object, on stdout once the first server answers; the rest
// goes to stderr. Call it from the only thread of the process; SIGTERM, SIGINT and SIGCHLD are
// blocked while it runs.
Result<int> serve(const ServeOptions& options);

}  // namespace casdisk
