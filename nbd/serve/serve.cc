#include "nbd/serve/serve.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "nbd/auth/access.h"
#include "nbd/exports.h"
#include "nbd/plugin_config.h"
#include "nbd/serve/listener.h"
#include "nbd/serve/nbd_uri.h"
#include "nbd/serve/nbdkit_command.h"
#include "nbd/serve/psk_file_in_run.h"
#include "nbd/serve/supervisor.h"

namespace casdisk {
namespace {

Error invalid(std::string context) { return Error{Fault::kInvalid, 0, std::move(context)}; }

Result<void> check_options(const ServeOptions& options) {
  if (options.port && !options.socket_path.empty()) {
    return invalid("--socket and --port exclude each other: give one");
  }
  if (options.tls && !options.port) {
    return invalid("--tls goes with --port: a unix socket leaves no machine");
  }
  if (options.threads < 1 || options.threads > kMaxServeThreads) {
    return invalid(fmt::format("--threads {}: from 1 to {}", options.threads, kMaxServeThreads));
  }
  return {};
}

// What the server itself will check, while the error can still be told with its exit code.
Result<void> check_volume(const ServeOptions& options, const std::string& store) {
  ExportsOptions exports;
  exports.store_path = store;
  exports.store.io = options.io;
  if (!options.volume.empty()) {
    TRY_ASSIGN(exports.only, parse_volume_name(options.volume));
  }
  return Exports::check(exports);
}

// "_" is no first letter of a disk's name.
Result<std::string> default_socket_path(const ServeOptions& options, const std::string& store) {
  const std::string directory = store + "/run";
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return os_error(errno, directory);
  return fmt::format("{}/{}.sock", directory, options.volume.empty() ? "_all" : options.volume);
}

Result<Listener> listen(const ServeOptions& options, const std::string& store, SocketFor whom) {
  if (options.port) return Listener::on_tcp(options.bind_address, *options.port);
  std::string path = options.socket_path;
  if (path.empty()) {
    TRY_ASSIGN(path, default_socket_path(options, store));
  }
  TRY_ASSIGN(path, absolute_path(path));
  return Listener::on_unix_socket(path, whom);
}

bool is_any_address(const std::string& address) { return address == "0.0.0.0" || address == "::"; }

UriSecurity security_of(const ServeOptions& options) {
  return options.tls ? UriSecurity::kTls : UriSecurity::kPlain;
}

// Works on this machine, whatever its name resolves to elsewhere.
std::string uri_of(const ServeOptions& options, const Listener& listener) {
  if (!options.port) return unix_nbd_uri(options.volume, listener.path());
  const std::string host =
      is_any_address(options.bind_address) ? "localhost" : options.bind_address;
  return tcp_nbd_uri(options.volume, host, listener.port(), security_of(options));
}

void warn_of_others(const ServeOptions& options, const Listener& listener, bool is_guarded) {
  if (is_guarded && !options.tls) {
    fmt::print(stderr,
               "casdisk: warning: whoever listens on the way to {} port {} reads what is sent, "
               "tokens too: --tls prevents that\n",
               options.bind_address, listener.port());
  } else if (!options.tls) {
    fmt::print(stderr,
               "casdisk: warning: whoever reaches {} port {} can read{}: NBD here has neither "
               "passwords nor encryption\n",
               options.bind_address, listener.port(), options.read_only ? "" : " and write");
  }
  char host[HOST_NAME_MAX + 1] = {};
  if (!is_any_address(options.bind_address) || ::gethostname(host, sizeof(host) - 1) != 0) return;
  fmt::print(stderr, "casdisk: from other machines: {}\n",
             tcp_nbd_uri(options.volume, host, listener.port(), security_of(options)));
}

Result<void> announce(const ServeOptions& options, const Listener& listener) {
  const std::string uri = uri_of(options, listener);
  std::string line = uri;
  if (options.json) {
    nlohmann::ordered_json object{{"uri", uri}};
    if (options.port) {
      object["port"] = listener.port();
    } else {
      object["socket"] = listener.path();
    }
    object["pid"] = ::getpid();
    line = object.dump();
  }
  if (std::fprintf(stdout, "%s\n", line.c_str()) < 0 || std::fflush(stdout) != 0) {
    return os_error(errno, "printing the URI");
  }
  return {};
}

}  // namespace

Result<int> serve(const ServeOptions& options) {
  TRY(check_options(options));
  TRY_ASSIGN(std::string store, absolute_path(options.store));
  TRY(check_volume(options, store));
  // Not on the server's command line, which everybody can see and which may hold a password.
  if (!options.access_url.empty()) ::setenv("CASDISK_ACCESS", options.access_url.c_str(), 1);
  const AccessSettings access = access_settings(store, options.access_url);
  TRY_ASSIGN(const bool is_guarded, Access::check(access));
  std::optional<PskFileInRun> psk_file;
  if (options.tls) {
    TRY_ASSIGN(PskFileInRun made, PskFileInRun::make(store, access));
    psk_file.emplace(std::move(made));
  }
  TRY_ASSIGN(NbdkitCommand command,
             nbdkit_command(options, store, psk_file ? psk_file->path() : ""));
  const SocketFor whom = is_guarded ? SocketFor::kEverybody : SocketFor::kUmask;
  TRY_ASSIGN(Listener listener, listen(options, store, whom));
  if (listener.is_open_to_others()) warn_of_others(options, listener, is_guarded);
  Supervisor supervisor(listener, std::move(command),
                        options.volume.empty() ? "all disks" : options.volume);
  TRY(supervisor.run([&] { return announce(options, listener); }));
  return 0;
}

}  // namespace casdisk
