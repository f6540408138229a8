#include "nbd/cli/doctor_store.h"

#include <fmt/format.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "cas/pack_scan.h"
#include "index/losses.h"
#include "index/store_format.h"
#include "nbd/cli/catalog.h"
#include "nbd/cli/format.h"
#include "nbd/control/control_client.h"
#include "nbd/control/control_socket.h"
#include "nbd/size_text.h"

namespace casdisk {
namespace {

constexpr uint64_t kLowFreeBytes = uint64_t(1) << 30;
constexpr uint64_t kNoFreeBytes = uint64_t(64) << 20;
constexpr uint64_t kMuchUnsealedBytes = uint64_t(16) << 30;
constexpr int64_t kLongPendingNs = int64_t(3600) * 1'000'000'000;
constexpr int64_t kClockSlackNs = int64_t(60) * 1'000'000'000;
constexpr double kFullTable = 0.8;
constexpr unsigned kManyReaders = 3000;  // of 4096

struct KnownFileSystem {
  int64_t magic;
  const char* name;
  Verdict verdict;
};
constexpr KnownFileSystem kFileSystems[] = {
    {0x6969, "NFS", Verdict::kProblem},        {0x517B, "SMB", Verdict::kProblem},
    {0xFF534D42, "CIFS", Verdict::kProblem},   {0xFE534D42, "SMB2", Verdict::kProblem},
    {0x00C36400, "CephFS", Verdict::kProblem}, {0x01021997, "9p", Verdict::kProblem},
    {0x0BD00BD0, "Lustre", Verdict::kProblem}, {0x5346414F, "AFS", Verdict::kProblem},
    {0x65735546, "FUSE", Verdict::kNote},      {0x01021994, "tmpfs", Verdict::kNote},
    {0x794C7630, "overlayfs", Verdict::kNote}, {0x4D44, "FAT", Verdict::kProblem},
    {0x2011BAB0, "exFAT", Verdict::kProblem},  {0xEF53, "ext4", Verdict::kOk},
    {0x58465342, "XFS", Verdict::kOk},         {0x9123683E, "btrfs", Verdict::kOk},
    {0x2FC12FC1, "ZFS", Verdict::kOk},         {0xF2F52010, "F2FS", Verdict::kOk},
};

Finding file_system_finding(const std::string& path) {
  struct statfs status;
  if (::statfs(path.c_str(), &status) != 0) {
    return {Verdict::kProblem, "file system", path + " cannot be looked at", "see --store"};
  }
  const auto magic = int64_t(uint32_t(status.f_type));
  const auto* known = std::ranges::find(kFileSystems, magic, &KnownFileSystem::magic);
  if (known == std::end(kFileSystems)) {
    return {Verdict::kOk, "file system", fmt::format("of type {:#x}", magic), ""};
  }
  Finding finding{known->verdict, "file system", known->name, ""};
  if (known->verdict == Verdict::kProblem) {
    finding.text +=
        ": LMDB needs a local file system, with locks and shared mappings, and disks "
        "need holes";
    finding.remedy = "move the store to ext4, XFS or btrfs";
  } else if (finding.text == "tmpfs") {
    finding.text += ": all is gone when the machine goes down";
    finding.remedy = "for tests; else move the store to ext4, XFS or btrfs";
  } else if (known->verdict == Verdict::kNote) {
    finding.text += ": what a sync means here is for what lies below to say";
    finding.remedy = "better put the store on ext4, XFS or btrfs itself";
  }
  return finding;
}

Findings space_findings(const std::string& path) {
  struct statvfs status;
  if (::statvfs(path.c_str(), &status) != 0) return {};
  const uint64_t free_bytes = uint64_t(status.f_bavail) * status.f_frsize;
  Finding space{Verdict::kOk, "free space", human_bytes(free_bytes), ""};
  if (free_bytes < kLowFreeBytes) {
    space.verdict = free_bytes < kNoFreeBytes ? Verdict::kProblem : Verdict::kNote;
    space.remedy = "make room: trim in the guests, `casdisk rm`, a larger file system";
  }
  Findings findings = {space};
  if (status.f_files > 0) {  // some make inodes as they go
    Finding inodes{Verdict::kOk, "free inodes", fmt::format("{}", status.f_favail), ""};
    if (status.f_favail < 1000) {
      inodes.verdict = Verdict::kProblem;
      inodes.remedy = "remove files, or make the file system anew with more inodes (mkfs -i)";
    }
    findings.push_back(inodes);
  }
  return findings;
}

class StoreDoctor {
 public:
  explicit StoreDoctor(Store& store) : store_(store) {}

  Result<Findings> run() {
    add(Verdict::kOk, "store",
        fmt::format("{}, format {}, codec {}", store_.path(), kStoreFormat,
                    codec_name(store_.codec())));
    check_reserve();
    TRY(check_tables());
    TRY(check_packs());
    TRY(check_disks());
    check_leases();
    check_sockets();
    TRY(check_losses());
    return std::move(findings_);
  }

 private:
  void add(Verdict verdict, std::string subject, std::string text, std::string remedy = "") {
    findings_.push_back({verdict, std::move(subject), std::move(text), std::move(remedy)});
  }

  void check_reserve() {
    if (store_.reserve().is_in_use()) {
      add(Verdict::kProblem, "reserve", "in use: the store was full, or is",
          "make room; what guests write is refused until there is some");
      return;
    }
    std::error_code failure;
    const auto bytes = std::filesystem::file_size(store_.path() + "/reserve", failure);
    if (failure || bytes <= 4096) {
      add(Verdict::kNote, "reserve", "missing: there was no space for it",
          "make room; the next open makes it");
    } else {
      add(Verdict::kOk, "reserve", human_bytes(bytes));
    }
  }

  Result<void> check_tables() {
    TRY_ASSIGN(const LmdbInfo locations, store_.local_chunks().locations().info());
    check_table("locations", locations);
    TRY_ASSIGN(const LmdbInfo catalog, store_.catalog().info());
    check_table("catalog", catalog);
    return {};
  }

  void check_table(const std::string& name, const LmdbInfo& info) {
    Finding finding{Verdict::kOk, name,
                    fmt::format("{}, {} of {}, {}", plural(info.entry_count, "record"),
                                human_bytes(info.used_bytes), human_bytes(info.map_bytes),
                                plural(info.reader_count, "reader slot")),
                    ""};
    if (double(info.used_bytes) > kFullTable * double(info.map_bytes)) {
      finding.verdict = Verdict::kProblem;
      finding.remedy = "it will be full: remove disks and checkpoints, or split the store";
    } else if (info.reader_count > kManyReaders) {
      finding.verdict = Verdict::kNote;
      finding.remedy = "too many processes have the store open; end some";
    }
    findings_.push_back(std::move(finding));
  }

  // The header of each pack says its version.
  Result<void> check_packs() {
    TRY_ASSIGN(const auto ids, list_packs(store_.local_chunks().packs()));
    uint64_t wrong_count = 0;
    std::string first_wrong;
    for (const uint64_t pack : ids) {
      auto file = store_.local_chunks().packs().open(pack_file_name(pack), OpenMode::kRead);
      if (!file.ok()) continue;  // just removed
      Bytes bytes(kPackHeaderBytes);
      auto header = file.value()->read(0, bytes);
      if (header.ok()) {
        auto decoded = decode_pack_header(bytes);
        if (decoded.ok()) continue;
        header = std::move(decoded.error());
      }
      if (wrong_count++ == 0) first_wrong = file.value()->path() + ": " + describe(header.error());
    }
    if (wrong_count == 0) {
      add(Verdict::kOk, "packs", fmt::format("{}, all of version {}", ids.size(), kPackVersion));
    } else {
      add(Verdict::kProblem, "packs",
          fmt::format("{} of {} have a header that is none: {}", wrong_count, ids.size(),
                      first_wrong),
          "casdisk verify");
    }
    return {};
  }

  Result<void> check_disks() {
    TRY_ASSIGN(const auto disks, summarize_disks(store_));
    size_t checkpoint_count = 0;
    for (const DiskSummary& disk : disks) {
      uids_.insert(uid_name(disk.head.uid));
      checkpoint_count += disk.checkpoints.size();
      check_disk(disk);
    }
    add(Verdict::kOk, "disks",
        fmt::format("{}, with {}", disks.size(), plural(checkpoint_count, "checkpoint")));
    return {};
  }

  void check_disk(const DiskSummary& disk) {
    const std::string subject = "disk " + disk.name;
    const int64_t now_ns = store_.now_ns();
    if (disk.head.poisoned) {
      add(Verdict::kProblem, subject, "a sync of its files failed: it takes no writes",
          "look at the device, then see `casdisk accept --help`");
    }
    if (disk.dirty_bytes > kMuchUnsealedBytes) {
      add(Verdict::kNote, subject, human_bytes(disk.dirty_bytes) + " are not sealed",
          "casdisk seal " + disk.name);
    }
    for (const PendingCheckpoint& pending : disk.head.pending) {
      if (now_ns - pending.time_ns < kLongPendingNs) continue;
      add(Verdict::kNote, subject,
          fmt::format("{} waits for its seal since {}",
                      pending.name.empty() ? "a fork of it" : "checkpoint " + pending.name,
                      utc_text(pending.time_ns)),
          "casdisk seal " + disk.name + " --wait");
    }
    if (disk.parent && disk.parent->time_ns > now_ns + kClockSlackNs) {
      add(Verdict::kProblem, "clock",
          fmt::format("checkpoint {} is of {}, and it is {} now", made_as(*disk.parent),
                      utc_text(disk.parent->time_ns), utc_text(now_ns)),
          "set the clock; times of checkpoints decide what is kept");
    }
    if (disk.holder) check_holder(subject, *disk.holder);
    if (disk.fallback) check_fallback(subject, disk);
  }

  // A server that holds a disk answers on its control socket.
  void check_holder(const std::string& subject, const LockHolder& holder) {
    if (holder.note.empty() || holder.note == kStartingNote) return;
    auto server = ControlClient::connect(store_.path(), holder);
    if (server.ok()) {
      add(Verdict::kOk, subject, fmt::format("served by pid {}", holder.pid));
    } else if (server.error().fault != Fault::kNotFound) {  // gone meanwhile
      add(Verdict::kProblem, subject, describe(server.error()),
          fmt::format("look at pid {}; if it hangs, kill -9 loses nothing that was acknowledged",
                      holder.pid));
    }
  }

  void check_fallback(const std::string& subject, const DiskSummary& disk) {
    auto fallback = store_.fallback(disk.head.fallback->file);
    auto held =
        fallback.ok() ? fallback.value()->check_pin() : Result<void>(std::move(fallback.error()));
    if (!held.ok()) {
      add(Verdict::kProblem, subject, describe(held.error()),
          "put the file back as it was; casdisk verify " + disk.name + " says what needs it");
    }
  }

  Result<void> check_losses() {
    TRY_ASSIGN(const auto losses, noted_losses(store_));
    if (!losses) return {};
    add(Verdict::kProblem, "losses", *losses + ", and more in " + store_.path() + "/losses",
        "casdisk repair --from IMAGE, or import the same data again and `casdisk repair`");
    return {};
  }

  void check_leases() {
    uint64_t left_count = 0;
    std::error_code failure;
    for (const auto& lease :
         std::filesystem::directory_iterator(store_.path() + "/leases", failure)) {
      if (uids_.contains(lease.path().filename().string())) continue;
      auto holder = FileLock::holder(lease.path().string());
      if (holder.ok() && !holder.value()) left_count++;
    }
    if (left_count == 0) return;
    add(Verdict::kNote, "leases", fmt::format("{} of disks that are gone", left_count),
        "they do no harm; the next `casdisk rm` removes them");
  }

  void check_sockets() {
    uint64_t dead_count = 0;
    std::error_code failure;
    for (const auto& socket :
         std::filesystem::directory_iterator(store_.path() + "/run", failure)) {
      const std::string name = socket.path().filename().string();
      if (!name.ends_with(".control")) continue;
      auto connected = connect_to_control_socket(store_.path(), name);
      if (connected.ok()) {
        ::close(connected.value());
      } else if (connected.error().fault == Fault::kNotFound) {
        dead_count++;
      }
    }
    if (dead_count == 0) return;
    add(Verdict::kNote, "sockets", fmt::format("{} of servers that died", dead_count),
        "they do no harm; the next server removes them");
  }

  Store& store_;
  Findings findings_;
  std::set<std::string> uids_;  // as names of leases
};

}  // namespace

Findings judge_directory(const std::string& path) {
  Findings findings = {file_system_finding(path)};
  for (Finding& finding : space_findings(path)) findings.push_back(std::move(finding));
  return findings;
}

Findings judge_store(Store& store) {
  StoreDoctor doctor(store);
  auto findings = doctor.run();
  if (findings.ok()) return std::move(findings).value();
  return {{Verdict::kProblem, "store", describe(findings.error()), "casdisk verify"}};
}

}  // namespace casdisk
