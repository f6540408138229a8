#include "index/lineage.h"

#include <fmt/format.h>

#include <algorithm>

#include "index/checkpoint_view.h"
#include "index/head.h"
#include "index/new_disk.h"
#include "index/resize.h"

namespace casdisk {
namespace {

constexpr int kMaxForkTries = 10;  // of a disk that is sealed meanwhile

Result<FallbackRecord> pin_fallback(Store& store, const std::string& path) {
  FallbackRecord record;
  auto canonical = store.file_system().canonical(path);
  if (!canonical.ok()) {
    canonical.error().context = "fallback " + canonical.error().context;
    return std::move(canonical.error());
  }
  record.path = std::move(canonical.value());
  TRY_ASSIGN(auto file, store.file_system().open_foreign(record.path));
  TRY_ASSIGN(record.identity, file->identity());
  if (record.identity.size_bytes > 0) return record;
  return Error{Fault::kInvalid, 0, fmt::format("fallback {} is empty", path)};
}

// Opens a disk and seals it: afterwards its head is a root and nothing else, and it is ours.
Result<std::shared_ptr<Disk>> open_sealed(Store& store, const std::string& name, unsigned threads,
                                          const SealProgress& progress,
                                          const DiskOptions& options = {}) {
  TRY_ASSIGN(auto disk, Disk::open(store, name, options));
  TRY(disk->seal_all(threads, progress));
  return disk;
}

Error replaced(const std::string& name) {
  return Error{Fault::kBusy, 0,
               fmt::format("disk {} was just replaced or changed; try again", name)};
}

// REQUIRES: the caller holds the lease of the disk `uid`. kBusy when the name has come to mean
// another.
Result<void> replace_head(Store& store, const std::string& name, uint64_t uid,
                          const std::function<Result<void>(CatalogWriter&, HeadRecord&)>& change) {
  return store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
    TRY_ASSIGN(HeadRecord head, writer.head(name));
    if (head.uid != uid) return replaced(name);
    TRY(change(writer, head));
    return writer.put_head(name, head);
  });
}

}  // namespace

Result<void> create_disk(Store& store, const std::string& name, const CreateOptions& options) {
  TRY(check_name(name, "disk"));
  HeadRecord head;
  std::optional<FallbackRecord> fallback;
  if (options.fallback) {
    TRY_ASSIGN(fallback, pin_fallback(store, *options.fallback));
    head.size_bytes = options.size_bytes.value_or(fallback->identity.size_bytes);
    uint64_t limit_bytes = std::min(head.size_bytes, fallback->identity.size_bytes);
    head.fallback = FallbackUse{fallback->id(), limit_bytes};
  } else {
    if (!options.size_bytes) {
      return Error{Fault::kInvalid, 0, "a disk without a fallback needs a size, e.g. --size 10G"};
    }
    head.size_bytes = *options.size_bytes;
  }
  TRY(check_disk_size(store, head.size_bytes));
  return add_disk(store, name, {head, fallback, std::nullopt});
}

// Of a checkpoint that is sealed, and also of one that is not yet: then the fork is entered with
// its origin, in the transaction that finds it pending.
static Result<void> fork_checkpoint(Store& store, const VolumeName& source,
                                    const std::string& name) {
  return store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
    TRY_ASSIGN(HeadRecord from, writer.head(source.disk));
    TRY_ASSIGN(auto id, writer.find_checkpoint(from.uid, source.checkpoint));
    if (id) {
      TRY_ASSIGN(auto record, writer.checkpoint(*id));
      return enter_disk(writer, store, name, {head_with(content_of(*id, record)), {}, {}});
    }
    PendingCheckpoint* pending = find_pending(from, source.checkpoint);
    if (!pending) return no_checkpoint(source);
    pending->forked = true;
    NewDisk made{head_with(content_of(from)), {}, {}};
    made.head.root = {};
    made.head.origin = ForkOrigin{from.uid, pending->cut};
    TRY(writer.put_head(source.disk, from));
    return enter_disk(writer, store, name, std::move(made));
  });
}

// Of a head without unsealed writes. False: it has some.
static Result<bool> fork_sealed_head(Store& store, const std::string& source,
                                     const std::string& name) {
  bool is_sealed = false;
  TRY(store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
    TRY_ASSIGN(HeadRecord from, writer.head(source));
    is_sealed = from.generations.empty() && from.pending.empty() && !from.origin;
    if (!is_sealed) return {};
    return enter_disk(writer, store, name, {head_with(content_of(from)), {}, {}});
  }));
  return is_sealed;
}

// The new size needs the content to be sealed: its last chunk may change. Entered only if the
// source still is what it was made of; false: it is not.
static Result<bool> try_fork_resized(Store& store, const VolumeName& source,
                                     const std::string& name, uint64_t size_bytes) {
  TRY_ASSIGN(const WriteSession session, store.begin_session());
  TRY_ASSIGN(const Layers pinned, pinned_layers(store, source));
  HeadRecord from;
  HeadRecord made;
  if (source.is_checkpoint()) {
    TRY_ASSIGN(FoundCheckpoint found, find_checkpoint(store, source));
    made = head_with(content_of(found.id, found.record));
  } else {
    TRY_ASSIGN(from, store.catalog().head(source.disk));
    made = head_with(content_of(from));
  }
  TRY(resize_head(store, made, size_bytes));
  TRY(store.chunks().sync());
  bool is_same = false;
  TRY(store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
    TRY_ASSIGN(HeadRecord now, writer.head(source.disk));
    if (source.is_checkpoint()) {
      TRY_ASSIGN(auto id, writer.find_checkpoint(now.uid, source.checkpoint));
      is_same = id == made.parent;
    } else {
      is_same = now.uid == from.uid && now.root == from.root;
    }
    if (!is_same) return {};
    return enter_disk(writer, store, name, {made, std::nullopt, std::nullopt});
  }));
  return is_same;
}

static Result<void> fork_resized(Store& store, const VolumeName& source, const std::string& name,
                                 uint64_t size_bytes) {
  for (int i = 0; i < kMaxForkTries; i++) {
    TRY_ASSIGN(const bool forked, try_fork_resized(store, source, name, size_bytes));
    if (forked) return {};
  }
  return replaced(source.text());
}

Result<void> fork_disk(Store& store, const VolumeName& source, const std::string& name,
                       std::optional<uint64_t> size_bytes) {
  TRY(check_name(name, "disk"));
  if (size_bytes) return fork_resized(store, source, name, *size_bytes);
  if (source.is_checkpoint()) return fork_checkpoint(store, source, name);
  TRY_ASSIGN(bool forked, fork_sealed_head(store, source.disk, name));
  if (forked) return {};
  TRY_ASSIGN(auto disk, Disk::open(store, source.disk, {}));
  TRY(disk->make_room_for_cut(store.threads(), [](uint64_t) {}));
  return disk->fork(name);
}

Result<ChunkId> checkpoint_disk(Store& store, const std::string& disk_name,
                                const CutRequest& request, unsigned threads,
                                const SealProgress& progress) {
  TRY_ASSIGN(auto disk, Disk::open(store, disk_name, {}));
  TRY(disk->make_room_for_cut(threads, progress));
  TRY(disk->cut(request));
  TRY(disk->seal(threads, progress));
  TRY_ASSIGN(FoundCheckpoint made, find_checkpoint(store, {disk_name, request.checkpoint}));
  return made.id;
}

// A disk whose generations cannot be opened, after a failed sync say, is rolled back all the same:
// they are what is dropped.
static Result<void> roll_back_closed(Store& store, const VolumeName& checkpoint,
                                     const FoundCheckpoint& found) {
  TRY_ASSIGN(HeadRecord before, store.catalog().head(checkpoint.disk));
  TRY_ASSIGN(FileLock lease, store.lease(checkpoint.disk, before.uid));
  auto roll_back = [&](CatalogWriter& writer, HeadRecord& head) -> Result<void> {
    if (!head.pending.empty()) return replaced(checkpoint.disk);
    TRY(check_is_kept(writer, head, found.id, found.record));
    set_content(head, content_of(found.id, found.record));
    drop_generations(head);
    return {};
  };
  TRY(replace_head(store, checkpoint.disk, before.uid, roll_back));
  return store.remove_disk_directory(before.uid);
}

Result<void> rollback_disk(Store& store, const VolumeName& checkpoint) {
  TRY_ASSIGN(HeadRecord head, store.catalog().head(checkpoint.disk));
  // A checkpoint that has a name is not lost.
  if (!head.pending.empty()) TRY(settle_disk(store, checkpoint.disk, SealWhat::kFrozen));
  TRY_ASSIGN(FoundCheckpoint found, find_checkpoint(store, checkpoint));
  return roll_back_closed(store, checkpoint, found);
}

Result<void> resize_disk(Store& store, const std::string& name, uint64_t size_bytes,
                         unsigned threads, const SealProgress& progress) {
  TRY(check_disk_size(store, size_bytes));
  TRY_ASSIGN(auto disk, open_sealed(store, name, threads, progress));
  SealOptions options;
  options.threads = threads;
  return disk->resize(size_bytes, options);
}

Result<void> accept_disk(Store& store, const std::string& name, unsigned threads,
                         const SealProgress& progress) {
  TRY_ASSIGN(auto disk, open_sealed(store, name, threads, progress, DiskOptions{true}));
  return replace_head(store, name, disk->head().uid,
                      [](CatalogWriter&, HeadRecord& head) -> Result<void> {
                        head.poisoned = false;
                        return {};
                      });
}

Result<void> ingest_disk(Store& store, const std::string& name, unsigned threads,
                         const SealProgress& progress) {
  TRY_ASSIGN(HeadRecord head, store.catalog().head(name));
  if (!head.fallback) {
    return Error{Fault::kInvalid, 0, fmt::format("disk {} has no fallback", name)};
  }
  TRY_ASSIGN(auto fallback, store.fallback(head.fallback->file));
  return fallback->ingest_all(chunks_for(head.fallback->limit_bytes), threads, progress);
}

Result<void> remove_disk(Store& store, const std::string& name) {
  TRY_ASSIGN(HeadRecord before, store.catalog().head(name));
  auto is_forked = [](const auto& pending) { return pending.forked; };
  if (std::any_of(before.pending.begin(), before.pending.end(), is_forked)) {
    TRY(settle_disk(store, name, SealWhat::kFrozen));
  }
  {
    TRY_ASSIGN(FileLock lease, store.lease(name, before.uid));
    TRY(store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
      TRY_ASSIGN(HeadRecord head, writer.head(name));
      if (head.uid != before.uid) return replaced(name);
      if (std::any_of(head.pending.begin(), head.pending.end(), is_forked)) return replaced(name);
      TRY_ASSIGN(auto checkpoints, writer.checkpoints(head.uid));
      for (const NamedCheckpoint& checkpoint : checkpoints) {
        TRY(writer.remove_checkpoint_name(head.uid, checkpoint.name));
      }
      return writer.remove_head(name);
    }));
    TRY(store.remove_disk_directory(before.uid));
  }
  store.drop_lease_file(before.uid);
  return store.remove_orphans();
}

// A pending one is cancelled, which its publisher notices, or goes on without its name where a
// fork waits for it.
Result<void> remove_checkpoint(Store& store, const VolumeName& checkpoint) {
  return store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
    TRY_ASSIGN(HeadRecord head, writer.head(checkpoint.disk));
    TRY_ASSIGN(bool removed, writer.remove_checkpoint_name(head.uid, checkpoint.checkpoint));
    if (removed) return {};
    PendingCheckpoint* pending = find_pending(head, checkpoint.checkpoint);
    if (!pending) return no_checkpoint(checkpoint);
    if (pending->forked) {
      pending->name.clear();
    } else {
      head.pending.erase(head.pending.begin() + (pending - head.pending.data()));
    }
    return writer.put_head(checkpoint.disk, head);
  });
}

Result<std::vector<LineageLink>> lineage_of(Store& store, const VolumeName& name) {
  std::optional<ChunkId> next;
  if (name.is_checkpoint()) {
    TRY_ASSIGN(FoundCheckpoint found, find_checkpoint(store, name));
    next = found.id;
  } else {
    TRY_ASSIGN(HeadRecord head, store.catalog().head(name.disk));
    next = head.parent;
  }
  std::vector<LineageLink> links;
  TRY(store.catalog().view([&](CatalogReader& reader) -> Result<void> {
    while (next) {
      LineageLink link{*next, {}, false};
      TRY_ASSIGN(link.record, reader.checkpoint(*next));
      TRY_ASSIGN(auto owner, reader.find_head(link.record.disk));
      if (owner) {
        TRY_ASSIGN(auto named, reader.find_checkpoint(owner->uid, link.record.name));
        link.alive = named == link.id;
      }
      next = link.record.parent;
      links.push_back(std::move(link));
    }
    return {};
  }));
  return links;
}

}  // namespace casdisk
