#include "index/lineage.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cas/os/parallel.h"
#include "index/checkpoint_view.h"

namespace casdisk {
namespace {

Result<void> check_size(Store& store, uint64_t size_bytes) {
  if (size_bytes >= 1 && size_bytes <= kMaxDiskBytes) return store.check_overlay_size(size_bytes);
  return Error{Fault::kInvalid, 0,
               fmt::format("a disk of {} bytes: sizes go from 1 byte to {} TiB", size_bytes,
                           kMaxDiskBytes >> 40)};
}

Result<FallbackRecord> pin_fallback(Store& store, const std::string& path) {
  std::error_code failure;
  FallbackRecord record;
  record.path = std::filesystem::canonical(path, failure);
  if (failure) return os_error(failure.value(), "fallback " + path);
  TRY_ASSIGN(auto file, store.file_system().open_foreign(record.path));
  TRY_ASSIGN(record.identity, file->identity());
  if (record.identity.size_bytes > 0) return record;
  return Error{Fault::kInvalid, 0, fmt::format("fallback {} is empty", path)};
}

// Changes size, root and fallback limit of a head without generations. Puts what it makes; the
// caller syncs the store before it publishes the head.
Result<void> resize_head(Store& store, HeadRecord& head, uint64_t size_bytes) {
  TRY(check_size(store, size_bytes));
  TRY_ASSIGN(Layers layers, store.sealed_layers(head.root, head.size_bytes, head.fallback));
  Tree tree = layers.tree;
  if (size_bytes < head.size_bytes && size_bytes % kChunkBytes != 0) {
    // The rest of the last chunk reads as zeros if the disk grows again.
    uint64_t last = size_bytes / kChunkBytes;
    TRY_ASSIGN(Entry entry, lookup(store.chunks(), tree, last));
    if (entry.state == EntryState::kId) {
      Bytes bytes(kChunkBytes);
      TRY(read_chunk(layers, last, bytes));
      std::fill(bytes.begin() + ptrdiff_t(size_bytes % kChunkBytes), bytes.end(), std::byte(0));
      TRY_ASSIGN(ChunkId id, store.chunks().put(ObjectKind::kChunk, bytes));
      bool over_fallback = last * kChunkBytes < layers.fallback_limit_bytes;
      Entry zero = over_fallback ? Entry::zero() : Entry::absent();
      Change change{last, is_all_zero(bytes) ? zero : Entry::of(id)};
      TRY_ASSIGN(tree, edit(store.chunks(), tree, std::span(&change, 1)));
    }
  }
  TRY_ASSIGN(tree, resize(store.chunks(), tree, chunks_for(size_bytes)));
  head.root = tree.root;
  head.size_bytes = size_bytes;
  if (head.fallback) {
    head.fallback->limit_bytes = std::min(head.fallback->limit_bytes, size_bytes);
    if (head.fallback->limit_bytes == 0) head.fallback.reset();
  }
  return {};
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

// Finishes what a crash may have left of a checkpoint. REQUIRES: nobody has the disk's lease.
Result<void> seal_pending(Store& store, const std::string& name) {
  TRY_ASSIGN(HeadRecord head, store.catalog().head(name));
  if (head.pending.empty()) return {};
  TRY_ASSIGN(auto disk, Disk::open(store, name, {}));
  return disk->seal(core_count(), [](uint64_t) {});
}

}  // namespace

Result<void> add_disk(Store& store, const std::string& name, NewDisk disk) {
  return store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
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
  });
}

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
  TRY(check_size(store, head.size_bytes));
  return add_disk(store, name, {head, fallback, std::nullopt});
}

Result<void> fork_disk(Store& store, const VolumeName& source, const std::string& name,
                       std::optional<uint64_t> size_bytes) {
  TRY(check_name(name, "disk"));
  HeadRecord head;
  std::shared_ptr<Disk> held;  // keeps the source as it is until the fork is recorded
  if (source.is_checkpoint()) {
    TRY_ASSIGN(FoundCheckpoint found, find_checkpoint(store, source));
    head.root = found.record.root;
    head.size_bytes = found.record.size_bytes;
    head.fallback = found.record.fallback;
    head.parent = found.id;
  } else {
    TRY_ASSIGN(HeadRecord from, store.catalog().head(source.disk));
    if (!from.generations.empty() || !from.pending.empty()) {
      TRY_ASSIGN(held, open_sealed(store, source.disk, core_count(), [](uint64_t) {}));
      from = held->head();
    }
    head.root = from.root;
    head.size_bytes = from.size_bytes;
    head.fallback = from.fallback;
    head.parent = from.parent;
  }
  if (size_bytes && *size_bytes != head.size_bytes) {
    TRY(resize_head(store, head, *size_bytes));
    TRY(store.chunks().sync());
  }
  return add_disk(store, name, {head, std::nullopt, std::nullopt});
}

Result<ChunkId> checkpoint_disk(Store& store, const std::string& disk_name, const std::string& name,
                                unsigned threads, const SealProgress& progress) {
  TRY_ASSIGN(auto disk, Disk::open(store, disk_name, {}));
  TRY(disk->cut(name));
  TRY(disk->seal(threads, progress));
  return *disk->head().parent;
}

Result<void> rollback_disk(Store& store, const VolumeName& checkpoint) {
  TRY(seal_pending(store, checkpoint.disk));  // a checkpoint that has a name is not lost
  TRY_ASSIGN(HeadRecord before, store.catalog().head(checkpoint.disk));
  TRY_ASSIGN(FileLock lease, store.lease(checkpoint.disk, before.uid));
  TRY_ASSIGN(FoundCheckpoint found, find_checkpoint(store, checkpoint));
  auto roll_back = [&](CatalogWriter&, HeadRecord& head) -> Result<void> {
    if (!head.pending.empty()) return replaced(checkpoint.disk);  // cut since, and not sealed
    head.root = found.record.root;
    head.size_bytes = found.record.size_bytes;
    head.fallback = found.record.fallback;
    head.parent = found.id;
    head.generations.clear();
    head.active = false;
    head.poisoned = false;
    return {};
  };
  TRY(replace_head(store, checkpoint.disk, before.uid, roll_back));
  return store.remove_disk_directory(before.uid);
}

Result<void> resize_disk(Store& store, const std::string& name, uint64_t size_bytes,
                         unsigned threads, const SealProgress& progress) {
  TRY(check_size(store, size_bytes));
  TRY_ASSIGN(auto disk, open_sealed(store, name, threads, progress));
  HeadRecord head = disk->head();
  TRY(resize_head(store, head, size_bytes));
  TRY(store.chunks().sync());
  return replace_head(store, name, head.uid,
                      [&](CatalogWriter&, HeadRecord& record) -> Result<void> {
                        record.root = head.root;
                        record.size_bytes = head.size_bytes;
                        record.fallback = head.fallback;
                        return {};
                      });
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
  {
    TRY_ASSIGN(FileLock lease, store.lease(name, before.uid));
    TRY(store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
      TRY_ASSIGN(HeadRecord head, writer.head(name));
      if (head.uid != before.uid) return replaced(name);
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

Result<void> remove_checkpoint(Store& store, const VolumeName& checkpoint) {
  TRY_ASSIGN(HeadRecord head, store.catalog().head(checkpoint.disk));
  bool removed = false;
  TRY(store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
    TRY_ASSIGN(removed, writer.remove_checkpoint_name(head.uid, checkpoint.checkpoint));
    return {};
  }));
  if (removed) return {};
  auto is_it = [&](const auto& pending) { return pending.name == checkpoint.checkpoint; };
  if (!std::any_of(head.pending.begin(), head.pending.end(), is_it)) {
    return Error{Fault::kNotFound, 0,
                 fmt::format("no checkpoint {}; `casdisk log {}` lists those of the disk",
                             checkpoint.text(), checkpoint.disk)};
  }
  TRY_ASSIGN(FileLock lease, store.lease(checkpoint.disk, head.uid));
  auto remove = [&](CatalogWriter& writer, HeadRecord& record) -> Result<void> {
    bool cancelled = std::erase_if(record.pending, is_it) > 0;
    TRY_ASSIGN(bool sealed, writer.remove_checkpoint_name(head.uid, checkpoint.checkpoint));
    return cancelled || sealed ? Result<void>() : Result<void>(replaced(checkpoint.disk));
  };
  return replace_head(store, checkpoint.disk, head.uid, remove);
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
