#include "index/checkpoint_view.h"

#include <fmt/format.h>

#include "index/disk.h"
#include "index/head.h"

namespace casdisk {

Error no_checkpoint(const VolumeName& name) {
  return Error{Fault::kNotFound, 0,
               fmt::format("no checkpoint {}; `casdisk log {}` lists those of the disk",
                           name.text(), name.disk)};
}

Result<FoundCheckpoint> find_checkpoint(Store& store, const VolumeName& name) {
  for (bool sealed = false;; sealed = true) {
    std::optional<FoundCheckpoint> found;
    bool pending = false;
    TRY(store.catalog().view([&](CatalogReader& reader) -> Result<void> {
      TRY_ASSIGN(HeadRecord head, reader.head(name.disk));
      TRY_ASSIGN(auto id, reader.find_checkpoint(head.uid, name.checkpoint));
      if (id) {
        TRY_ASSIGN(auto record, reader.checkpoint(*id));
        found = FoundCheckpoint{*id, std::move(record)};
      }
      pending = find_pending(head, name.checkpoint) != nullptr;
      return {};
    }));
    if (found) return std::move(*found);
    if (!pending || sealed) return no_checkpoint(name);
    TRY(settle_disk(store, name.disk, SealWhat::kFrozen));
  }
}

Result<void> check_is_kept(CatalogReader& reader, const HeadRecord& head, const ChunkId& id,
                           const CheckpointRecord& record) {
  TRY_ASSIGN(auto named, reader.find_checkpoint(head.uid, record.name));
  if (named == id) return {};
  return no_checkpoint({record.disk, record.name});
}

static Result<Layers> pinned_checkpoint(Store& store, const VolumeName& name) {
  TRY_ASSIGN(FoundCheckpoint found, find_checkpoint(store, name));
  for (;;) {
    const CheckpointRecord& record = found.record;
    TRY_ASSIGN(Layers layers, store.sealed_layers(record.root, record.size_bytes, record.fallback));
    TRY(layers.pin->hold());
    TRY_ASSIGN(FoundCheckpoint again, find_checkpoint(store, name));
    if (again.id == found.id) return layers;
    found = std::move(again);
  }
}

Result<Layers> pinned_layers(Store& store, const VolumeName& name) {
  if (name.is_checkpoint()) return pinned_checkpoint(store, name);
  TRY_ASSIGN(HeadRecord head, store.catalog().head(name.disk));
  if (!head.generations.empty() || head.origin) {
    TRY(settle_disk(store, name.disk, SealWhat::kAll));
    TRY_ASSIGN(head, store.catalog().head(name.disk));
  }
  for (;;) {
    TRY_ASSIGN(Layers layers, store.sealed_layers(head.root, head.size_bytes, head.fallback));
    TRY(layers.pin->hold());
    const Entry root = head.root;
    TRY_ASSIGN(head, store.catalog().head(name.disk));
    if (head.root == root) return layers;
  }
}

Result<std::shared_ptr<CheckpointView>> CheckpointView::open(Store& store, const VolumeName& name) {
  TRY_ASSIGN(Layers layers, pinned_checkpoint(store, name));
  return std::shared_ptr<CheckpointView>(new CheckpointView(name.text(), std::move(layers)));
}

Result<std::shared_ptr<Volume>> CheckpointView::of_head(Store& store, const std::string& disk) {
  TRY_ASSIGN(Layers layers, pinned_layers(store, {disk, {}}));
  return std::shared_ptr<Volume>(new CheckpointView(disk, std::move(layers)));
}

Result<std::shared_ptr<Volume>> CheckpointView::of(Store& store, const std::string& name,
                                                   const Entry& root, uint64_t size_bytes) {
  TRY_ASSIGN(Layers layers, store.sealed_layers(root, size_bytes, std::nullopt));
  TRY(layers.pin->hold());
  return std::shared_ptr<Volume>(new CheckpointView(name, std::move(layers)));
}

Result<void> CheckpointView::check_range(uint64_t offset, uint64_t length) const {
  if (offset <= size_bytes() && length <= size_bytes() - offset) return {};
  return Error{Fault::kInvalid, 0,
               fmt::format("{}: {} bytes at {} reach beyond its {} bytes", name_, length, offset,
                           size_bytes())};
}

Error CheckpointView::read_only() const {
  return Error{Fault::kInvalid, 0, name_ + " is a checkpoint and does not change; fork it"};
}

Result<void> CheckpointView::read(uint64_t offset, std::span<std::byte> into) {
  TRY(check_range(offset, into.size()));
  return read_layers(layers_, offset, into);
}

Result<void> CheckpointView::write(uint64_t, std::span<const std::byte>) { return read_only(); }
Result<void> CheckpointView::zero(uint64_t, uint64_t) { return read_only(); }
Result<void> CheckpointView::trim(uint64_t, uint64_t) { return read_only(); }

Result<void> CheckpointView::extents(uint64_t offset, uint64_t length,
                                     const std::function<bool(const Extent&)>& visit) {
  TRY(check_range(offset, length));
  return extents_of_layers(layers_, offset, length, visit);
}

Result<void> CheckpointView::prefetch(uint64_t offset, uint64_t length) {
  TRY(check_range(offset, length));
  return prefetch_layers(layers_, offset, length);
}

}  // namespace casdisk
