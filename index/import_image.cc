#include "index/import_image.h"

#include <fmt/format.h>

#include "index/image_tree.h"
#include "index/names.h"
#include "index/new_disk.h"

namespace casdisk {
Result<void> import_image(Store& store, ImageSource& source, const std::string& name,
                          unsigned threads, const ImageProgress& progress) {
  TRY(check_name(name, "disk"));
  TRY(store.catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(auto taken, reader.find_head(name));
    if (!taken) return {};
    return Error{Fault::kExists, 0,
                 fmt::format("disk {} exists already; `casdisk rm {}` removes it", name, name)};
  }));

  if (auto known = source.size_bytes()) TRY(store.check_overlay_size(*known));
  TRY_ASSIGN(const WriteSession session, store.begin_session());
  TRY_ASSIGN(ImageTree image, put_image(store.chunks(), source, threads, progress));
  CheckpointRecord record;
  record.root = image.tree.root;
  record.size_bytes = image.size_bytes;
  record.time_ns = store.now_ns();
  record.disk = name;
  record.name = kImportCheckpoint;
  SealedCheckpoint checkpoint{record.name, {}, encode(record)};
  TRY_ASSIGN(checkpoint.id, store.chunks().put(ObjectKind::kCheckpoint, checkpoint.encoded));
  TRY(store.chunks().sync());

  NewDisk disk;
  disk.head.size_bytes = image.size_bytes;
  disk.head.root = image.tree.root;
  disk.checkpoint = std::move(checkpoint);
  return add_disk(store, name, std::move(disk));
}

}  // namespace casdisk
