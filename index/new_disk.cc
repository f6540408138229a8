#include "index/new_disk.h"

#include <fmt/format.h>

namespace casdisk {

Result<void> enter_disk(CatalogWriter& writer, Store& store, const std::string& name,
                        NewDisk disk) {
  TRY_ASSIGN(auto taken, writer.find_head(name));
  if (taken) {
    return Error{Fault::kExists, 0,
                 fmt::format("disk {} exists already; `casdisk rm {}` removes it", name, name)};
  }
  TRY_ASSIGN(disk.head.uid, writer.new_disk_uid());
  disk.head.created_ns = store.now_ns();
  if (disk.fallback) {
    TRY_ASSIGN(auto known, writer.find_fallback(disk.fallback->id()));
    if (!known) TRY(writer.put_fallback(disk.fallback->id(), *disk.fallback));
  }
  if (disk.checkpoint) {
    const SealedCheckpoint& first = *disk.checkpoint;
    TRY(writer.put_checkpoint(disk.head.uid, first.name, first.id, first.encoded));
    disk.head.parent = first.id;
  }
  return writer.put_head(name, disk.head);
}

Result<void> add_disk(Store& store, const std::string& name, NewDisk disk) {
  return store.catalog().update(
      [&](CatalogWriter& writer) { return enter_disk(writer, store, name, disk); });
}

}  // namespace casdisk
