// The nbdkit plugin: callbacks in the order of their lives. nbdkit is included here and nowhere
// else.
//
// Every callback runs inside guard(): no exception passes into nbdkit, which is C. An exception,
// memory that ran out say, may leave locks and claims behind that others wait for, so it ends the
// process; a supervisor starts another, and nothing acknowledged is lost. Every other failure is
// logged once, and errno is chosen in errno_of() alone. Anything else than those few numbers would
// reach the client as EINVAL.
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "nbd/auth/hidden_tokens.h"
#include "nbd/default_store.h"
#include "nbd/plugin_config.h"
#include "nbd/service.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

namespace casdisk {
namespace {

// Extents of one answer. nbdkit and clients take fewer than asked for and ask again.
constexpr size_t kMaxExtentsPerAnswer = 65536;

constexpr uint32_t kLargestRequestBytes = uint32_t(32) << 20;

PluginConfig config;
ExportsOptions exports_options;
AccessSettings records;
std::string psk_file;
std::unique_ptr<Service> service;  // from after_fork to cleanup

// --- Failures -------------------------------------------------------------------------------

int errno_of(const Error& error) {
  if (error.os_error == ENOMEM) return ENOMEM;
  if (error.os_error == EROFS) return EROFS;
  switch (error.fault) {
    case Fault::kInvalid:
    case Fault::kTooLarge:
      return EINVAL;
    case Fault::kNoSpace:
    case Fault::kLimit:
      return ENOSPC;
    default:
      return EIO;
  }
}

void report(const Error& error) {
  nbdkit_error("%s", with_tokens_hidden(describe(error)).c_str());
  nbdkit_set_error(errno_of(error));
}

// What body() gives, or `failed` when it fails.
template <typename T, typename Body>
T guard(T failed, Body body) {
  try {
    auto outcome = body();
    if (outcome.ok()) return std::move(outcome).value();
    report(outcome.error());
  } catch (const std::exception& exception) {
    nbdkit_error("%s: the server ends; what was acknowledged is in the kernel", exception.what());
    std::abort();
  }
  return failed;
}

// For callbacks that answer 0 or -1.
template <typename Body>
int guard(Body body) {
  return guard(-1, [&]() -> Result<int> {
    TRY(body());
    return 0;
  });
}

Exports::Handle& client_of(void* handle) { return *static_cast<Exports::Handle*>(handle); }

Volume& volume_of(void* handle) { return client_of(handle).volume(); }

Result<Volume*> volume_to_write(void* handle) {
  Volume& volume = client_of(handle).volume_to_write();
  if (client_of(handle).may_write()) return &volume;
  return Error{Fault::kInvalid, EROFS,
               volume.is_writable() ? volume.name() + " may not be written by this client"
                                    : volume.name() + " is a checkpoint: fork it to write"};
}

// --- Before the fork ------------------------------------------------------------------------

void dump_plugin() {
  printf("casdisk_version=%s\n", CASDISK_VERSION);
  printf("casdisk_chunk=%u\n", unsigned(kChunkBytes));
  printf("casdisk_io_uring=%s\n", make_file_system(IoChoice::kUring, nullptr).ok() ? "yes" : "no");
}

int configure(const char* key, const char* value) {
  return guard([&] { return set_parameter(config, key, value); });
}

// Paths are made absolute here: after the fork nbdkit is in "/".
int config_complete() {
  return guard([]() -> Result<void> {
    if (config.store.empty()) {
      TRY_ASSIGN(config.store, default_store_path(StoreEnvironment::of_this_process()));
    }
    TRY_ASSIGN(exports_options.store_path, absolute_path(config.store));
    TRY_ASSIGN(records, access_of(config, exports_options.store_path));
    TRY_ASSIGN(psk_file, absolute_path(config.psk_file));
    exports_options.store.io = config.io;
    exports_options.store.cache_bytes = config.cache_bytes;
    exports_options.store.write_behind = config.write_behind;
    exports_options.store.log = [](const std::string& line) { nbdkit_error("%s", line.c_str()); };
    exports_options.only = config.disk;
    return {};
  });
}

// Whatever the user must see is found out here. Nothing stays open: LMDB, threads and rings do not
// survive a fork.
int get_ready() {
  return guard([]() -> Result<void> {
    TRY(Exports::check(exports_options));
    TRY(Access::check(records));
    return {};
  });
}

// --- After the fork -------------------------------------------------------------------------

int after_fork() {
  return guard([]() -> Result<void> {
    TRY_ASSIGN(service, Service::start(exports_options, config.sealing, records, psk_file));
    return {};
  });
}

void cleanup() { service.reset(); }

// --- Handshake ------------------------------------------------------------------------------

// Comes before TLS, so it is time for the file of its keys.
int preconnect(int) {
  return guard([] { return service->psk_refresh().refresh(); });
}

ClientPeer peer_of_connection() {
  ClientPeer peer;
  socklen_t length = sizeof(peer.address);
  auto* address = reinterpret_cast<sockaddr*>(&peer.address);
  if (nbdkit_peer_name(address, &length) != 0) return peer;
  peer.address_bytes = length;
  if (address->sa_family == AF_UNIX) peer.pid = nbdkit_peer_pid();
  return peer;
}

// As nbdkit knows it; on a Unix socket the uid says who it is, elsewhere nothing does.
Peer peer_of_client() {
  const ClientPeer client = peer_of_connection();
  Peer peer;
  peer.address = ip_address_text(client.address, client.address_bytes);
  peer.is_overheard =
      client.address_bytes > 0 && client.address.ss_family != AF_UNIX && nbdkit_is_tls() == 0;
  if (client.address.ss_family != AF_UNIX) return peer;
  const int64_t uid = nbdkit_peer_uid();
  if (uid >= 0) peer.uid = uid_t(uid);
  return peer;
}

int list_exports(int, int, nbdkit_exports* list) {
  return guard([&]() -> Result<void> {
    TRY_ASSIGN(auto lines, service->client_exports().list(peer_of_client()));
    for (const ExportLine& line : lines) {
      if (nbdkit_add_export(list, line.name.c_str(), line.description.c_str()) != 0) {
        return Error{Fault::kIo, 0, "the list of exports"};
      }
    }
    return {};
  });
}

const char* default_export(int, int) {
  return guard<const char*>(nullptr, []() -> Result<const char*> {
    TRY_ASSIGN(std::string name, service->client_exports().default_name(peer_of_client()));
    return nbdkit_strdup_intern(name.c_str());
  });
}

// nbdkit opens an export once for each NBD_OPT_INFO and NBD_OPT_GO.
void* open(int) {
  return guard<void*>(nullptr, []() -> Result<void*> {
    const char* name = nbdkit_export_name();
    if (name == nullptr) return Error{Fault::kIo, 0, "the export's name"};
    TRY_ASSIGN(auto handle, service->client_exports().open(peer_of_client(), name));
    service->sockets().add(handle.get(), handle->name(), peer_of_connection(),
                           handle->waiting_count());
    return static_cast<void*>(handle.release());
  });
}

// Not called for clients that are connected at shutdown; cleanup() does what it would have done.
void close(void* handle) {
  service->sockets().remove(handle);
  delete static_cast<Exports::Handle*>(handle);
}

const char* export_description(void* handle) {
  return guard<const char*>(nullptr, [&]() -> Result<const char*> {
    TRY_ASSIGN(std::string text, service->exports().description(volume_of(handle).name()));
    return nbdkit_strdup_intern(text.c_str());
  });
}

int64_t get_size(void* handle) { return int64_t(volume_of(handle).size_bytes()); }

// 64 KiB is the chunk: what costs no reading of what is around it.
int block_size(void*, uint32_t* minimum, uint32_t* preferred, uint32_t* maximum) {
  *minimum = 1;
  *preferred = kChunkBytes;
  *maximum = kLargestRequestBytes;
  return 0;
}

int can_write(void* handle) { return client_of(handle).may_write(); }
int can_fua(void*) { return NBDKIT_FUA_NATIVE; }
int can_cache(void*) { return NBDKIT_CACHE_NATIVE; }
int yes(void*) { return 1; }

// --- Requests -------------------------------------------------------------------------------

// What FUA promises is what a flush gives; concurrent ones share the work.
Result<void> flush_if(Volume& volume, bool wanted) {
  if (!wanted) return {};
  return volume.flush();
}

// guard(), counted, and made to wait when need be.
template <typename Body>
int serve(void* handle, RequestKind kind, uint64_t bytes, Body body) {
  client_of(handle).begin_request();
  const auto begin = RequestCounters::Clock::now();
  const int outcome = guard(body);
  client_of(handle).counters().add(
      kind, bytes, RequestCounters::Clock::now() - begin,
      outcome == 0 ? RequestCounters::Outcome::kDone : RequestCounters::Outcome::kFailed);
  return outcome;
}

int pread(void* handle, void* buffer, uint32_t count, uint64_t offset, uint32_t) {
  return serve(handle, RequestKind::kRead, count, [&] {
    return volume_of(handle).read(offset, std::span(static_cast<std::byte*>(buffer), count));
  });
}

int pwrite(void* handle, const void* buffer, uint32_t count, uint64_t offset, uint32_t flags) {
  return serve(handle, RequestKind::kWrite, count, [&]() -> Result<void> {
    TRY_ASSIGN(auto* volume, volume_to_write(handle));
    TRY(volume->write(offset, std::span(static_cast<const std::byte*>(buffer), count)));
    return flush_if(*volume, flags & NBDKIT_FLAG_FUA);
  });
}

int flush(void* handle, uint32_t) {
  return serve(handle, RequestKind::kFlush, 0, [&] { return volume_of(handle).flush(); });
}

int trim(void* handle, uint32_t count, uint64_t offset, uint32_t flags) {
  return serve(handle, RequestKind::kTrim, count, [&]() -> Result<void> {
    TRY_ASSIGN(auto* volume, volume_to_write(handle));
    TRY(volume->trim(offset, count));
    return flush_if(*volume, flags & NBDKIT_FLAG_FUA);
  });
}

// Always fast: whole blocks are marked as zero and not written.
int zero(void* handle, uint32_t count, uint64_t offset, uint32_t flags) {
  return serve(handle, RequestKind::kZero, count, [&]() -> Result<void> {
    TRY_ASSIGN(auto* volume, volume_to_write(handle));
    TRY(volume->zero(offset, count));
    return flush_if(*volume, flags & NBDKIT_FLAG_FUA);
  });
}

// Clipped to the request: nbdkit 1.32 aborts on an extent of 4 GiB or more (CVE-2025-47711).
int extents(void* handle, uint32_t count, uint64_t offset, uint32_t flags, nbdkit_extents* list) {
  return serve(handle, RequestKind::kExtents, count, [&]() -> Result<void> {
    const size_t most = flags & NBDKIT_FLAG_REQ_ONE ? 1 : kMaxExtentsPerAnswer;
    const uint64_t end = offset + count;
    size_t added_count = 0;
    bool refused = false;
    TRY(volume_of(handle).extents(offset, count, [&](const Extent& extent) {
      const uint64_t from = std::max(extent.offset, offset);
      const uint64_t to = std::min(extent.offset + extent.length, end);
      const uint32_t type = extent.is_hole ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;
      refused = nbdkit_add_extent(list, from, to - from, type) != 0;
      return !refused && ++added_count < most;
    }));
    if (refused) return Error{Fault::kIo, 0, "the list of extents"};
    return {};
  });
}

int cache(void* handle, uint32_t count, uint64_t offset, uint32_t) {
  return serve(handle, RequestKind::kCache, count,
               [&] { return volume_of(handle).prefetch(offset, count); });
}

nbdkit_plugin make_plugin() {
  nbdkit_plugin plugin{};
  plugin.name = "casdisk";
  plugin.longname = "casdisk";
  plugin.version = CASDISK_VERSION;
  plugin.description = "Content-addressed virtual disks with checkpoints and forks";
  plugin.config = configure;
  plugin.config_complete = config_complete;
  plugin.config_help = kPluginConfigHelp;
  plugin.magic_config_key = "store";
  plugin.dump_plugin = dump_plugin;
  plugin.get_ready = get_ready;
  plugin.after_fork = after_fork;
  plugin.cleanup = cleanup;
  plugin.preconnect = preconnect;
  plugin.list_exports = list_exports;
  plugin.default_export = default_export;
  plugin.export_description = export_description;
  plugin.open = open;
  plugin.close = close;
  plugin.get_size = get_size;
  plugin.block_size = block_size;
  plugin.can_write = can_write;
  plugin.can_flush = yes;
  plugin.can_trim = yes;
  plugin.can_zero = yes;
  plugin.can_fast_zero = yes;
  plugin.can_fua = can_fua;
  plugin.can_extents = yes;
  plugin.can_cache = can_cache;
  // One Volume serves all connections, so a flush of one covers what any of them was told is
  // written.
  plugin.can_multi_conn = yes;
  plugin.pread = pread;
  plugin.pwrite = pwrite;
  plugin.flush = flush;
  plugin.trim = trim;
  plugin.zero = zero;
  plugin.extents = extents;
  plugin.cache = cache;
  plugin.errno_is_preserved = 1;
  return plugin;
}

nbdkit_plugin plugin = make_plugin();

}  // namespace
}  // namespace casdisk

NBDKIT_REGISTER_PLUGIN(casdisk::plugin)
