// Exports: what a server offers: the disks of a store by name, each opened once and shared.
//
// A disk is opened by its first user and closed by its last, flushed if any of them wrote; users
// that come and go in between cost nothing. Users are clients, and what works for the server itself
// and wants the disk open meanwhile. A name is "disk" or "disk@checkpoint"; names come from clients
// and are checked. Open it after fork. Safe to call from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "index/disk.h"
#include "index/names.h"
#include "index/store.h"
#include "index/volume.h"
#include "nbd/request_counters.h"
#include "nbd/request_gate.h"

namespace casdisk {

struct ExportsOptions {
  std::string store_path;
  StoreOptions store;
  std::optional<VolumeName> only;  // offer this one alone, and hold it open throughout
};

// One line of the list of exports.
struct ExportLine {
  std::string name;
  std::string description;  // "10G disk, 3 checkpoints"
};

// Which disks somebody may know of; their checkpoints go with them.
using DiskFilter = std::function<bool(const std::string& disk)>;
inline bool every_disk(const std::string&) { return true; }

// Lists end here: NBD clients and nbdkit (10,000) have limits too.
inline constexpr size_t kMaxListedExports = 8192;

class Exports {
 private:
  struct Slot;

 public:
  enum class User { kClient, kService };

  // One user of an open volume. Must go before its Exports.
  class Handle {
   public:
    Handle(Exports& exports, std::shared_ptr<Slot> slot, User user)
        : exports_(exports), slot_(std::move(slot)), user_(user) {}
    ~Handle() { exports_.leave(*slot_, user_); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    const std::string& name() const;
    Volume& volume() const;
    // The same, noting that there will be something to flush.
    Volume& volume_to_write() const;
    // Null for a checkpoint.
    Disk* disk() const;
    // Of all its users since it was opened.
    RequestCounters& counters() const;
    RequestGate& gate() const;
    size_t client_count() const;

    // For one who may only look. Call it before anybody else has the handle.
    void forbid_writing() { may_write_ = false; }
    bool may_write() const { return may_write_ && volume().is_writable(); }

    // A client's request begins; it may have to wait.
    void begin_request() { gate().enter(waiting_count_); }
    const std::atomic<unsigned>& waiting_count() const { return waiting_count_; }

   private:
    Exports& exports_;
    std::shared_ptr<Slot> slot_;
    const User user_;
    bool may_write_ = true;
    std::atomic<unsigned> waiting_count_ = 0;
  };

  // kNotFound (no such store, disk or checkpoint), kBusy and whatever else opening them gives.
  static Result<std::unique_ptr<Exports>> open(const ExportsOptions& options);
  // What open() would say, without leaving anything open. For use before a fork.
  static Result<void> check(ExportsOptions options);
  ~Exports();

  // Disks first, then checkpoints, each by name; at most kMaxListedExports.
  Result<std::vector<ExportLine>> list(const DiskFilter& shown = every_disk) const;
  // The export that "" means: the one that is offered alone or the only disk that is shown.
  // kInvalid when there is a choice, or nothing to choose from.
  Result<std::string> default_name(const DiskFilter& shown = every_disk) const;
  // kInvalid for a name that no disk can have, kNotFound for one that none has or that is not
  // offered.
  Result<std::unique_ptr<Handle>> open_export(const std::string& name, User user = User::kClient);
  // A user of each disk that is open at the moment, not of those that are being opened.
  std::vector<std::unique_ptr<Handle>> open_disks();

  Store& store() { return *store_; }
  // What list() says of that export.
  Result<std::string> description(const std::string& name) const;

 private:
  explicit Exports(std::optional<VolumeName> only) : only_(std::move(only)) {}
  Result<VolumeName> chosen(const std::string& name) const;
  std::shared_ptr<Slot> enter(const std::string& name, User user);
  void leave(Slot& slot, User user);
  void close_volume(Slot& slot);
  Result<void> open_volume(Slot& slot, const VolumeName& name);

  // Fixed after construction.
  const std::optional<VolumeName> only_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Handle> held_;  // of only_

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;  // guarded by mutex_: those with users
};

}  // namespace casdisk
