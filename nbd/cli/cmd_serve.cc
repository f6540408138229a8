// casdisk serve: what it takes; serve.h does it.
#include <fmt/format.h>

#include "nbd/cli/access_session.h"
#include "nbd/cli/commands.h"
#include "nbd/plugin_config.h"
#include "nbd/serve/serve.h"

namespace casdisk {
namespace {

Result<ServeOptions> serve_options(Session& session, const Arguments& arguments) {
  ServeOptions options;
  TRY_ASSIGN(options.store, session.store_path());
  bool all = arguments.has("all");
  if (all == (arguments.positional_count() > 0)) {
    return Error{Fault::kInvalid, 0, "serve: name one disk or disk@checkpoint, or say --all"};
  }
  if (!all) {
    TRY_ASSIGN(VolumeName name, parse_volume_name(arguments.positional(0)));
    options.volume = name.text();
  }
  TRY_ASSIGN(auto port, arguments.number("port", 0, UINT16_MAX));
  if (port) options.port = uint16_t(*port);
  if (arguments.has("socket") && port) {
    return Error{Fault::kInvalid, 0, "serve: --socket and --port exclude each other"};
  }
  if (arguments.has("bind") && !port) {
    return Error{Fault::kInvalid, 0, "serve: --bind goes with --port"};
  }
  options.socket_path = arguments.text("socket").value_or("");
  options.bind_address = arguments.text("bind").value_or(options.bind_address);
  options.tls = arguments.has("tls");
  TRY_ASSIGN(options.access_url, access_url_of(arguments));
  options.read_only = arguments.has("read-only");
  options.structured_replies = !arguments.has("no-sr");
  options.cache_bytes = session.options().cache_bytes;
  options.io = session.options().io;
  TRY_ASSIGN(auto threads, arguments.number("threads", 1, kMaxServeThreads));
  options.threads = unsigned(threads.value_or(options.threads));
  if (auto limit = arguments.text("overlay-limit")) {
    TRY_ASSIGN(options.overlay_limit_bytes, parse_overlay_limit(*limit, "--overlay-limit"));
  }
  if (auto idle = arguments.text("seal-idle")) {
    TRY_ASSIGN(options.seal_idle, parse_idle_time(*idle, "--seal-idle"));
  }
  options.write_behind = !arguments.has("no-write-behind");
  options.json = session.options().json;
  return options;
}

}  // namespace

Syntax serve_syntax() {
  return {
      .positionals = {{"X", false}},
      .options = {{"all", "", "every disk of the store; the client's export name chooses"},
                  {"socket", "PATH", "unix socket (default: STORE/run/DISK.sock)"},
                  {"port", "N", "TCP port, 0 for any free one"},
                  {"bind", "ADDRESS",
                   "with --port: where to listen (default 127.0.0.1; anybody who\n"
                   "reaches it can read and write the disk, unless the store has\n"
                   "users: see `casdisk user --help`)"},
                  {"tls", "", "with --port: nothing but TLS, by the users' keys"},
                  kAccessOption,
                  {"read-only", "", "refuse writes"},
                  {"threads", "N", "requests at work for each connection (default 16)"},
                  {"no-sr", "",
                   "no structured replies: small reads take a quarter less of the\n"
                   "server's time; clients cannot ask what is a hole, so copies\n"
                   "of the disk read all of it"},
                  {"overlay-limit", "SIZE",
                   "unsealed bytes of a disk beyond which they are sealed in the\n"
                   "background, 0 for no limit (default 4G)"},
                  {"seal-idle", "SECONDS",
                   "seal a disk that nobody has written to for so long, 0 for\n"
                   "never (default 30)"},
                  {"no-write-behind", "",
                   "what guests write stays in memory until they flush it: faster\n"
                   "where they never do (a disk that is thrown away), while a flush\n"
                   "or a checkpoint after gigabytes of writes takes seconds"}},
      .about =
          "Serves X, a disk or disk@checkpoint, over NBD until it is told to end (Ctrl-C or\n"
          "SIGTERM), and prints the URI to connect to. A server that dies is replaced; clients\n"
          "that reconnect find all they wrote.",
      .exit_codes = "  4 when another process has the disk or the socket\n",
      .examples =
          "  casdisk serve web\n"
          "  casdisk serve web@monday --read-only --port 10809\n"
          "  casdisk serve --all --port 10809 --bind 0.0.0.0 --tls\n"
          "  casdisk serve --all --socket /run/disks.sock\n"};
}

Result<int> run_serve(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(ServeOptions options, serve_options(session, arguments));
  return serve(options);
}

}  // namespace casdisk
