// CheckpointView: one checkpoint, read-only. Immutable, needs no lease, as many as one likes.
#pragma once

#include <memory>
#include <string>

#include "index/layers.h"
#include "index/names.h"
#include "index/store.h"
#include "index/volume.h"

namespace casdisk {

class CheckpointView : public Volume {
 public:
  // A checkpoint that is not sealed yet is sealed first, under the disk's lease: kBusy when
  // somebody else has it and cannot be asked. kNotFound says what there is. The store outlives the
  // view.
  static Result<std::shared_ptr<CheckpointView>> open(Store& store, const VolumeName& name);

  // A disk as it is at some moment of the call. What is not sealed is sealed first: kBusy as above.
  static Result<std::shared_ptr<Volume>> of_head(Store& store, const std::string& disk);

  // Any sealed content, as a volume of that name, pinned: whoever found it in the catalog looks
  // afterwards whether it still is there.
  static Result<std::shared_ptr<Volume>> of(Store& store, const std::string& name,
                                            const Entry& root, uint64_t size_bytes);

  const std::string& name() const override { return name_; }
  uint64_t size_bytes() const override { return layers_.size_bytes; }
  bool is_writable() const override { return false; }
  Result<void> read(uint64_t offset, std::span<std::byte> into) override;
  Result<void> write(uint64_t offset, std::span<const std::byte> from) override;
  Result<void> zero(uint64_t offset, uint64_t length) override;
  Result<void> trim(uint64_t offset, uint64_t length) override;
  Result<void> flush() override { return {}; }
  Result<void> extents(uint64_t offset, uint64_t length,
                       const std::function<bool(const Extent&)>& visit) override;
  Result<void> prefetch(uint64_t offset, uint64_t length) override;

 private:
  CheckpointView(std::string name, Layers layers)
      : name_(std::move(name)), layers_(std::move(layers)) {}
  Result<void> check_range(uint64_t offset, uint64_t length) const;
  Error read_only() const;

  std::string name_;
  Layers layers_;
};

// The sealed checkpoint of that name, sealing it first if it is pending. It may be removed, and
// what only it had be collected, while one looks at it: whoever reads it pins it (pinned_layers),
// and whoever makes a head of it looks once more in the transaction (check_is_kept).
struct FoundCheckpoint {
  ChunkId id;
  CheckpointRecord record;
};
Result<FoundCheckpoint> find_checkpoint(Store& store, const VolumeName& name);

// kNotFound when `head`'s disk has the checkpoint no more.
Result<void> check_is_kept(CatalogReader& reader, const HeadRecord& head, const ChunkId& id,
                           const CheckpointRecord& record);

// The layers of a checkpoint or, sealed, of a disk at some moment of the call. They can be read for
// as long as somebody has them, whatever is removed.
Result<Layers> pinned_layers(Store& store, const VolumeName& name);

Error no_checkpoint(const VolumeName& name);

}  // namespace casdisk
