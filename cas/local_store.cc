#include "cas/local_store.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <string_view>

namespace casdisk {

namespace {

// What a sync registers in one transaction, at most: about 1 GiB of chunks, and as many pages of
// the table as there are objects, 64 MiB of dirty memory.
constexpr size_t kMaxPendingObjects = 16384;

// What is read of a raw chunk without loading it and does not end at the bounds of blocks, at most.
constexpr size_t kMaxUnalignedBytes = kChunkBytes / 2;

constexpr std::string_view kPacksDirectory = "packs";
constexpr std::string_view kLocationsDirectory = "locations";
constexpr std::string_view kSessionsDirectory = "sessions";

Error no_such_object(const ChunkId& id) {
  return Error{Fault::kNotFound, 0, "chunk " + to_hex(id) + ": not in this store"};
}

Result<void> check_object(ObjectKind kind, std::span<const std::byte> bytes) {
  const bool fits = !bytes.empty() && bytes.size() <= kMaxObjectBytes &&
                    (kind != ObjectKind::kChunk || bytes.size() == kChunkBytes);
  if (fits) return {};
  return Error{Fault::kInvalid, 0, fmt::format("an object cannot have {} bytes", bytes.size())};
}

// Syncs the names only where one was missing: beside gigabytes of fresh writes a sync waits for the
// file system's journal.
Result<void> make_missing(Directory& root, std::initializer_list<std::string_view> names) {
  bool was_missing = false;
  for (std::string_view name : names) {
    auto opened = root.open_directory(name);
    if (opened.ok()) continue;
    if (opened.error().fault != Fault::kNotFound) return std::move(opened.error());
    TRY(root.make_directory(name));
    was_missing = true;
  }
  return was_missing ? root.sync() : Result<void>();
}

}  // namespace

Result<std::unique_ptr<LocalStore>> LocalStore::open(FileSystem& file_system,
                                                     const std::string& directory,
                                                     const LocalStoreOptions& options) {
  TRY_ASSIGN(auto root, file_system.open_directory(directory));
  TRY(make_missing(*root, {kPacksDirectory, kLocationsDirectory, kSessionsDirectory}));
  TRY_ASSIGN(auto packs, root->open_directory(kPacksDirectory));
  TRY_ASSIGN(auto sessions, root->open_directory(kSessionsDirectory));
  LmdbOptions table_options{options.map_bytes, make_room_with(options.reserve), kRebuildTable};
  static SystemMachine system;  // stateless
  Machine* machine = options.machine != nullptr ? options.machine : &system;
  TRY_ASSIGN(auto locations,
             LocationTable::open(*machine, fmt::format("{}/{}", directory, kLocationsDirectory),
                                 table_options));
  return std::unique_ptr<LocalStore>(new LocalStore(
      file_system, options, std::move(packs), std::move(sessions), std::move(locations), *machine));
}

LocalStore::LocalStore(FileSystem& file_system, const LocalStoreOptions& options,
                       std::unique_ptr<Directory> packs, std::unique_ptr<Directory> sessions,
                       std::unique_ptr<LocationTable> locations, Machine& machine)
    : codec_(options.codec),
      needs_sessions_(options.needs_sessions),
      reserve_(options.reserve),
      packs_(std::move(packs)),
      session_files_(std::move(sessions)),
      locations_(std::move(locations)),
      reader_(file_system, *packs_),
      writer_(*packs_, *locations_, options.max_pack_bytes),
      cache_(options.cache_bytes),
      raw_records_(options.cache_bytes),
      session_locks_(machine, *session_files_, *locations_) {}

LocalStore::~LocalStore() = default;

// Pending first: an object moves from there to the table, so looking in this order cannot miss it.
// A lost copy is as good as its bytes, which are verified, but any other is better.
Result<std::optional<LocalStore::Found>> LocalStore::locate(const ChunkId& id) {
  const auto pending = pending_.find(id);
  if (pending && !pending->lost) {
    return std::optional(Found{.location = pending->location, .pending = true});
  }
  TRY_ASSIGN(auto entry, locations_->lookup(id));
  if (entry && (!pending || !entry->damaged)) {
    return std::optional(Found{.location = entry->location, .trusted = !entry->damaged});
  }
  if (!pending) return std::optional<Found>();
  return std::optional(Found{.location = pending->location, .pending = true, .trusted = false});
}

Result<ChunkId> LocalStore::put(ObjectKind kind, std::span<const std::byte> bytes) {
  CHECK(!needs_sessions_ || session_count_ > 0);
  TRY(check_object(kind, bytes));
  put_count_++;
  const ChunkId id = hash_of(bytes);
  TRY(make_room());
  if (pending_.claim(id) == PendingObjects::Claim::kPending) return id;
  if (auto stored = store_claimed(kind, id, bytes); !stored.ok()) {
    pending_.given_up(id);
    return std::move(stored.error());
  }
  return id;
}

// Ends the claim when it succeeds.
Result<void> LocalStore::store_claimed(ObjectKind kind, const ChunkId& id,
                                       std::span<const std::byte> bytes) {
  TRY_ASSIGN(auto known, locations_->lookup_to_keep(id));
  if (known && reader_.reaches(*known)) {
    pending_.settled(id);
    return {};
  }
  const std::optional<Bytes> compressed = compress(codec_, bytes);
  const Bytes record =
      encode_record(kind, id, uint32_t(bytes.size()), compressed ? codec_ : Codec::kNone,
                    compressed ? std::span<const std::byte>(*compressed) : bytes);
  TRY_ASSIGN(const PackLocation location, append(kind, record));
  pending_.appended(id, location);
  new_object_count_++;
  new_stored_bytes_ += record.size();
  return {};
}

// The record of a checkpoint is all that a full store needs to keep an unchanged disk's.
Result<PackLocation> LocalStore::append(ObjectKind kind, std::span<const std::byte> record) {
  if (kind == ObjectKind::kCheckpoint) {
    return with_reserve(reserve_, [&] { return writer_.append(record); });
  }
  if (reserve_ != nullptr) TRY(reserve_->check_room());
  return writer_.append(record);
}

Result<void> LocalStore::make_room() {
  if (pending_.count() < kMaxPendingObjects) return {};
  std::lock_guard lock(sync_mutex_);
  if (pending_.count() < kMaxPendingObjects) return {};  // another thread's sync made it
  return sync_alone();
}

Result<Object> LocalStore::get(const ChunkId& id) {
  return cache_.get(id, [&] { return load(id); });
}

Result<void> LocalStore::read_chunk(const ChunkId& id, uint32_t offset, std::span<std::byte> into) {
  CHECK(offset <= kChunkBytes && into.size() <= kChunkBytes - offset);
  if (const Object hit = cache_.find(id)) return copy_of_chunk(id, *hit, offset, into);
  const uint32_t first_block = offset / kBlockBytes, in_block = offset % kBlockBytes;
  const size_t needed_bytes =
      (in_block + into.size() + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  std::optional<Found> found;
  if (needed_bytes == into.size()) {
    if (read_blocks(id, first_block, into, found)) return {};
  } else if (needed_bytes <= kMaxUnalignedBytes) {
    std::array<std::byte, kMaxUnalignedBytes> blocks;
    if (read_blocks(id, first_block, std::span(blocks).first(needed_bytes), found)) {
      std::memcpy(into.data(), blocks.data() + in_block, into.size());
      return {};
    }
  }
  TRY_ASSIGN(const Object object,
             cache_.load_missed(id, [&] { return found ? load_from(id, *found) : load(id); }));
  return copy_of_chunk(id, *object, offset, into);
}

bool LocalStore::read_blocks(const ChunkId& id, uint32_t first_block, std::span<std::byte> into,
                             std::optional<Found>& found) {
  const auto block_count = uint32_t(into.size() / kBlockBytes);
  const RawRecords::Touched touched = raw_records_.touch(id, first_block, block_count);
  if (touched.often) return false;
  if (touched.record) return reader_.read_blocks(*touched.record, first_block, into).ok();
  auto located = locate(id);
  if (!located.ok()) return false;
  found = located.value();
  if (!found || !found->trusted) return false;
  if (found->location.record_bytes != kRawChunkRecordBytes) return false;
  const auto record = reader_.read_first_blocks({id, found->location}, first_block, into);
  if (record.ok()) raw_records_.keep(id, record.value(), first_block, block_count);
  return record.ok();
}

std::optional<PackReader::BlockRead> LocalStore::plan_blocks(const ChunkPart& part) {
  if (part.offset % kBlockBytes != 0 || part.into.size() % kBlockBytes != 0) return std::nullopt;
  PackReader::BlockRead read;
  read.id = part.id;
  read.first_block = uint32_t(part.offset / kBlockBytes);
  read.into = part.into;
  const RawRecords::Touched touched =
      raw_records_.touch(part.id, read.first_block, uint32_t(part.into.size() / kBlockBytes));
  if (touched.often) return std::nullopt;
  if (touched.record) {
    read.record = *touched.record;
    read.is_known = true;
    return read;
  }
  auto located = locate(part.id);
  if (!located.ok() || !located.value() || !located.value()->trusted) return std::nullopt;
  read.record.location = located.value()->location;
  if (read.record.location.record_bytes != kRawChunkRecordBytes) return std::nullopt;
  return read;
}

// A chunk of which several parts are wanted is loaded, once for all of them.
Result<void> LocalStore::read_parts(std::span<const ChunkPart> parts) {
  std::vector<ChunkPart> rest;
  std::vector<PackReader::BlockRead> reads;
  for (size_t i = 0; i < parts.size(); i++) {
    const ChunkPart& part = parts[i];
    if (const Object hit = cache_.find(part.id)) {
      TRY(copy_of_chunk(part.id, *hit, part.offset, part.into));
      continue;
    }
    const bool is_alone = (i == 0 || parts[i - 1].id != part.id) &&
                          (i + 1 == parts.size() || parts[i + 1].id != part.id);
    auto planned = is_alone ? plan_blocks(part) : std::nullopt;
    if (planned) {
      reads.push_back(std::move(*planned));
    } else {
      rest.push_back(part);
    }
  }
  if (!reads.empty()) reader_.read_blocks(reads);
  for (const PackReader::BlockRead& read : reads) {
    if (!read.is_right) {
      raw_records_.forget(read.id);
      rest.push_back({read.id, uint32_t(read.first_block * kBlockBytes), read.into});
    } else if (!read.is_known) {
      raw_records_.keep(read.id, read.record, read.first_block,
                        uint32_t(read.into.size() / kBlockBytes));
    }
  }
  return read_whole(rest);
}

Result<Object> LocalStore::load(const ChunkId& id) {
  TRY_ASSIGN(const auto found, locate(id));
  if (!found) return no_such_object(id);
  return load_from(id, *found);
}

// When it cannot be read where it was said to lie, it may just have moved: looked up once more.
Result<Object> LocalStore::load_from(const ChunkId& id, const Found& found) {
  raw_records_.forget(id);  // what the table says now counts
  auto object = reader_.read({id, found.location});
  if (object.ok()) return object;
  TRY_ASSIGN(auto again, locate(id));
  if (!again) return no_such_object(id);
  if (again->location != found.location) object = reader_.read({id, again->location});
  if (!object.ok()) distrust(id, *again, object.error());
  return object;
}

// An unreadable sector counts as damage; running out of descriptors or memory does not.
void LocalStore::distrust(const ChunkId& id, const Found& found, const Error& error) {
  if (error.fault != Fault::kDamaged && error.os_error != EIO) return;
  if (found.pending) {
    pending_.lose(id, found.location);
  } else if (found.trusted) {
    locations_->flag_damaged(id, found.location);
  }
}

// One batch for all that the cache lacks. Should that fail, single reads tell which one it was, and
// get the others if nobody is to blame.
Result<std::vector<Object>> LocalStore::get_many(std::span<const ChunkId> ids) {
  std::vector<Object> objects(ids.size());
  std::vector<LocatedObject> missing;
  std::vector<size_t> missing_at;
  for (size_t i = 0; i < ids.size(); i++) {
    if ((objects[i] = cache_.find(ids[i])) != nullptr) continue;
    TRY_ASSIGN(auto found, locate(ids[i]));
    if (!found) return no_such_object(ids[i]);
    missing.push_back({ids[i], found->location});
    missing_at.push_back(i);
  }
  auto read = missing.size() > 1 ? reader_.read_many(missing) : std::vector<Object>();
  const bool batch_read = read.ok() && read.value().size() == missing.size();
  for (size_t i = 0; i < missing.size(); i++) {
    Object& object = objects[missing_at[i]];
    if (batch_read) {
      object = read.value()[i];
      cache_.insert(missing[i].id, object);
    } else {
      TRY_ASSIGN(object, get(missing[i].id));
    }
  }
  return objects;
}

Result<void> LocalStore::sync() {
  std::lock_guard lock(sync_mutex_);
  return sync_alone();
}

// A pack that takes nothing any more was condemned while it was written to: what was to be
// registered in it goes to another one. REQUIRES: sync_mutex_ is held.
Result<void> LocalStore::sync_alone() {
  for (;;) {
    TRY(store_lost_anew());
    const std::vector<LocatedObject> batch = pending_.pending();
    if (batch.empty()) return {};
    if (auto synced = writer_.sync(); !synced.ok()) {
      pending_.lose_all();
      return synced;
    }
    TRY_ASSIGN(auto refused, locations_->enter(batch));
    if (refused.empty()) {
      pending_.registered(batch);
      return {};
    }
    writer_.close(refused);
    pending_.lose_in(refused);
  }
}

// After a failed sync: what it was to cover is read back, verified and appended to another pack.
// Whoever put it does not know that it is at risk, so no sync may succeed without it.
Result<void> LocalStore::store_lost_anew() {
  for (const LocatedObject& object : pending_.lost()) {
    if (pending_.claim(object.id) == PendingObjects::Claim::kPending) continue;
    auto record = reader_.read_record(object);
    auto location = record.ok() ? writer_.append(record.value()) : std::move(record.error());
    if (!location.ok()) {
      pending_.given_up(object.id);
      return std::move(location.error());
    }
    pending_.appended(object.id, location.value());
  }
  return {};
}

Result<WriteSession> LocalStore::begin_session() {
  TRY_ASSIGN(SessionLock taken, with_reserve(reserve_, [&] { return session_locks_.take(); }));
  std::lock_guard lock(session_mutex_);
  if (taken.generation > generation_) {
    TRY(turn_over());
    generation_ = taken.generation;
  }
  if (session_count_ == 0) {
    // Whoever put what a failed sync lost has ended without publishing it: no sync owes it to them.
    std::lock_guard sync_lock(sync_mutex_);
    pending_.forget_lost();
  }
  session_count_++;
  return WriteSession(std::move(taken), [this] { session_count_--; });
}

// A collection has begun since the last session did. What is pending may lie in packs that it has
// condemned and will delete when the older sessions have ended, so no newer session may build on
// it. Where no older one is left nobody relies on it. REQUIRES: session_mutex_ is held.
Result<void> LocalStore::turn_over() {
  const uint64_t current = writer_.current_pack();
  if (current != 0) {
    TRY_ASSIGN(const bool takes_records, locations_->takes_records(current));
    if (!takes_records) writer_.close(std::span(&current, 1));
  }
  if (session_count_ == 0) {
    std::lock_guard lock(sync_mutex_);
    pending_.clear();
    return {};
  }
  pending_.wait_for_claims();
  return sync();
}

LocalStoreCounters LocalStore::counters() const {
  return {.put_count = put_count_,
          .new_object_count = new_object_count_,
          .new_stored_bytes = new_stored_bytes_};
}

}  // namespace casdisk
