#include "tests/crash/observe.h"

#include <fmt/format.h>

#include <set>

#include "index/checkpoint_view.h"
#include "index/lineage.h"
#include "tests/support/test_store.h"

namespace casdisk {
namespace {

Result<Bytes> read_all(Volume& volume) {
  Bytes bytes(volume.size_bytes());
  TRY(volume.read(0, bytes));
  return bytes;
}

Result<std::set<std::string>> checkpoint_names(CatalogReader& reader, const HeadRecord& head) {
  std::set<std::string> names;
  TRY_ASSIGN(auto sealed, reader.checkpoints(head.uid));
  for (const NamedCheckpoint& checkpoint : sealed) names.insert(checkpoint.name);
  for (const PendingCheckpoint& pending : head.pending) {
    if (!pending.name.empty()) names.insert(pending.name);
  }
  return names;
}

// Whether it was. Forks wait for their source, which is why all are looked at before any is read.
Result<bool> accept_if_poisoned(Store& store, const std::string& name) {
  TRY_ASSIGN(HeadRecord head, store.catalog().head(name));
  if (head.origin) return false;  // has nothing of its own yet
  auto disk = Disk::open(store, name, {});
  if (disk.ok()) return false;
  if (disk.error().fault != Fault::kPoisoned) return std::move(disk.error());
  TRY(accept_disk(store, name, 1, no_progress));
  return true;
}

Result<Observed::DiskContent> observe_disk(Store& store, const std::string& name,
                                           const std::set<std::string>& checkpoints) {
  Observed::DiskContent content;
  {
    TRY_ASSIGN(auto disk, Disk::open(store, name, {}));
    TRY_ASSIGN(content.bytes, read_all(*disk));
  }
  for (const std::string& checkpoint : checkpoints) {
    TRY_ASSIGN(auto view, CheckpointView::open(store, {name, checkpoint}));
    TRY_ASSIGN(content.checkpoints[checkpoint], read_all(*view));
  }
  TRY(lineage_of(store, {name, ""}));
  return content;
}

std::string checkpoint_mismatch(const DiskModel& model, const Observed::DiskContent& seen) {
  for (const auto& [name, bytes] : model.checkpoints) {
    auto found = seen.checkpoints.find(name);
    if (found == seen.checkpoints.end()) return "checkpoint " + name + " is not there";
    if (auto block = DiskState(*bytes).wrong_block(found->second, false)) {
      return fmt::format("checkpoint {}: block {} is not what it was at the cut", name, *block);
    }
  }
  if (seen.checkpoints.size() == model.checkpoints.size()) return "";
  return "there are checkpoints that were not made, or were removed";
}

}  // namespace

Result<Observed> observe(Worker& worker) {
  std::map<std::string, std::set<std::string>> disks;
  TRY(worker.store().catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(auto heads, reader.heads());
    for (const NamedHead& named : heads) {
      TRY_ASSIGN(disks[named.name], checkpoint_names(reader, named.head));
    }
    return {};
  }));
  Observed observed;
  for (const auto& [name, checkpoints] : disks) {
    TRY_ASSIGN(observed.disks[name].was_poisoned, accept_if_poisoned(worker.store(), name));
  }
  for (const auto& [name, checkpoints] : disks) {
    auto content = observe_disk(worker.store(), name, checkpoints);
    if (!content.ok()) {
      content.error().context = fmt::format("disk {}: {}", name, content.error().context);
      return std::move(content.error());
    }
    content.value().was_poisoned = observed.disks[name].was_poisoned;
    observed.disks[name] = std::move(content).value();
  }
  return observed;
}

std::string mismatch(const Model& model, const Observed& observed, bool after_power_cut) {
  for (const auto& [name, disk] : model.disks) {
    auto found = observed.disks.find(name);
    if (found == observed.disks.end()) return "disk " + name + " is not there";
    const Observed::DiskContent& seen = found->second;
    if (seen.bytes.size() != disk.state.size_bytes()) {
      return fmt::format("disk {} has {} bytes, not {}", name, seen.bytes.size(),
                         disk.state.size_bytes());
    }
    const bool may_be_older = after_power_cut || seen.was_poisoned || disk.may_be_poisoned;
    if (auto block = disk.state.wrong_block(seen.bytes, may_be_older)) {
      return fmt::format("disk {}: block {} is neither what was last acknowledged{}", name, *block,
                         may_be_older ? " nor what was since the last flush" : "");
    }
    if (seen.was_poisoned && !disk.may_be_poisoned) {
      return fmt::format("disk {} is poisoned, and no sync has failed", name);
    }
    std::string wrong = checkpoint_mismatch(disk, seen);
    if (!wrong.empty()) return fmt::format("disk {}: {}", name, wrong);
  }
  if (observed.disks.size() == model.disks.size()) return "";
  return "there are disks that were not made, or were removed";
}

}  // namespace casdisk
