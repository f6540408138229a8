#include "index/catalog.h"

#include <fmt/format.h>

#include <algorithm>

#include "index/head.h"
#include "index/missing_disk.h"

namespace casdisk {
namespace {

Bytes key_of(char scope, std::span<const std::byte> rest = {}) {
  Bytes key(1 + rest.size());
  key[0] = std::byte(scope);
  std::copy(rest.begin(), rest.end(), key.begin() + 1);
  return key;
}

Bytes checkpoint_name_key(uint64_t disk_uid, std::string_view name) {
  Bytes key = key_of('N');
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(std::byte(uint8_t(disk_uid >> shift)));
  for (char c : name) key.push_back(std::byte(c));
  return key;
}

std::string name_in(std::span<const std::byte> key, size_t prefix_bytes) {
  auto name = key.subspan(prefix_bytes);
  return std::string(reinterpret_cast<const char*>(name.data()), name.size());
}

Error in_catalog(Error error, std::string_view object) {
  error.context = fmt::format("{}: {}", object, error.context);
  return error;
}

Result<ChunkId> decode_id(std::span<const std::byte> value, std::string_view object) {
  ChunkId id;
  if (value.size() != id.bytes.size()) {
    return Error{Fault::kDamaged, 0, fmt::format("{}: {} bytes for an id", object, value.size())};
  }
  std::copy(value.begin(), value.end(), id.bytes.begin());
  return id;
}

}  // namespace

Result<std::optional<HeadRecord>> CatalogReader::find_head(const std::string& disk) {
  TRY_ASSIGN(auto value, reader_.get(key_of('D', as_bytes(disk))));
  if (!value) return std::optional<HeadRecord>();
  auto head = decode_head(*value);
  if (!head.ok()) return in_catalog(head.error(), fmt::format("disk {}", disk));
  return std::optional(std::move(head).value());
}

Result<HeadRecord> CatalogReader::head(const std::string& disk) {
  TRY_ASSIGN(auto head, find_head(disk));
  if (head) return std::move(*head);
  return no_disk_named(disk);
}

Result<std::vector<NamedHead>> CatalogReader::heads() {
  std::vector<NamedHead> heads;
  Result<void> outcome;
  TRY(reader_.scan(key_of('D'), {}, [&](auto key, auto value) {
    std::string name = name_in(key, 1);
    auto head = decode_head(value);
    if (!head.ok()) {
      outcome = in_catalog(head.error(), fmt::format("disk {}", name));
      return false;
    }
    heads.push_back({std::move(name), std::move(head).value()});
    return true;
  }));
  TRY(std::move(outcome));
  return heads;
}

Result<std::optional<ChunkId>> CatalogReader::find_checkpoint(uint64_t disk_uid,
                                                              const std::string& name) {
  TRY_ASSIGN(auto value, reader_.get(checkpoint_name_key(disk_uid, name)));
  if (!value) return std::optional<ChunkId>();
  TRY_ASSIGN(ChunkId id, decode_id(*value, fmt::format("checkpoint {}", name)));
  return std::optional(id);
}

Result<void> CatalogReader::check_checkpoint_is_new(const std::string& disk, const HeadRecord& head,
                                                    const std::string& name) {
  TRY_ASSIGN(auto found, find_checkpoint(head.uid, name));
  if (!found && !find_pending(head, name)) return {};
  return Error{Fault::kExists, 0,
               fmt::format("{}@{} exists already; checkpoints do not change, choose another name",
                           disk, name)};
}

Result<std::vector<NamedCheckpoint>> CatalogReader::checkpoints(uint64_t disk_uid) {
  std::vector<NamedCheckpoint> found;
  Result<void> outcome;
  Bytes prefix = checkpoint_name_key(disk_uid, "");
  TRY(reader_.scan(prefix, {}, [&](auto key, auto value) {
    std::string name = name_in(key, prefix.size());
    auto id = decode_id(value, fmt::format("checkpoint {}", name));
    if (!id.ok()) {
      outcome = std::move(id.error());
      return false;
    }
    found.push_back({std::move(name), id.value()});
    return true;
  }));
  TRY(std::move(outcome));
  return found;
}

Result<CheckpointRecord> CatalogReader::checkpoint(const ChunkId& id) {
  TRY_ASSIGN(auto value, reader_.get(key_of('K', id.bytes)));
  std::string object = fmt::format("checkpoint {}", to_hex(id));
  if (!value)
    return Error{
        Fault::kDamaged, 0,
        object +
            " is missing from the catalog; `casdisk repair --rebuild` takes it from the packs"};
  if (hash_of(*value) != id) {
    return Error{Fault::kDamaged, 0,
                 object +
                     ": its record is not what was written; `casdisk repair --rebuild` takes it "
                     "from the packs"};
  }
  auto record = decode_checkpoint(*value);
  if (!record.ok()) return in_catalog(record.error(), object);
  return record;
}

Result<std::optional<FallbackRecord>> CatalogReader::find_fallback(const FallbackId& id) {
  TRY_ASSIGN(auto value, reader_.get(key_of('F', id.bytes)));
  if (!value) return std::optional<FallbackRecord>();
  auto record = decode_fallback(*value);
  if (!record.ok()) return in_catalog(record.error(), fmt::format("fallback {}", to_hex(id)));
  return std::optional(std::move(record).value());
}

Result<std::vector<OwnedCheckpoint>> CatalogReader::all_checkpoints() {
  constexpr size_t kPrefixBytes = 9;  // 'N' and the uid
  std::vector<OwnedCheckpoint> found;
  Result<void> outcome;
  TRY(reader_.scan(key_of('N'), {}, [&](auto key, auto value) {
    if (key.size() < kPrefixBytes) {
      outcome = Error{Fault::kDamaged, 0, "the name of a checkpoint has an impossible key"};
      return false;
    }
    OwnedCheckpoint owned;
    for (std::byte digit : key.subspan(1, 8))
      owned.disk_uid = owned.disk_uid << 8 | uint64_t(digit);
    owned.checkpoint.name = name_in(key, kPrefixBytes);
    auto id = decode_id(value, fmt::format("checkpoint {}", owned.checkpoint.name));
    if (!id.ok()) {
      outcome = std::move(id.error());
      return false;
    }
    owned.checkpoint.id = id.value();
    found.push_back(std::move(owned));
    return true;
  }));
  TRY(std::move(outcome));
  return found;
}

Result<std::vector<CheckpointLink>> CatalogReader::checkpoint_links() {
  std::vector<CheckpointLink> links;
  Result<void> outcome;
  TRY(reader_.scan(key_of('K'), {}, [&](auto key, auto value) {
    auto id = decode_id(key.subspan(1), "the key of a checkpoint record");
    auto record = decode_checkpoint(value);
    if (!id.ok() || !record.ok()) {
      outcome = id.ok() ? in_catalog(record.error(), "checkpoint " + to_hex(id.value()))
                        : std::move(id.error());
      return false;
    }
    CheckpointLink link{id.value(), record.value().parent, std::nullopt};
    if (record.value().fallback) link.fallback = record.value().fallback->file;
    links.push_back(link);
    return true;
  }));
  TRY(std::move(outcome));
  return links;
}

Result<std::vector<NamedFallback>> CatalogReader::fallbacks() {
  std::vector<NamedFallback> found;
  Result<void> outcome;
  TRY(reader_.scan(key_of('F'), {}, [&](auto key, auto value) {
    auto id = decode_id(key.subspan(1), "the key of a fallback record");
    auto record = decode_fallback(value);
    if (!id.ok() || !record.ok()) {
      outcome = id.ok() ? in_catalog(record.error(), "fallback " + to_hex(id.value()))
                        : std::move(id.error());
      return false;
    }
    found.push_back({id.value(), std::move(record).value()});
    return true;
  }));
  TRY(std::move(outcome));
  return found;
}

Result<void> CatalogWriter::begin_uids(uint64_t first) {
  return writer_.put(key_of('I', as_bytes("uid")), ByteWriter().number(first).take());
}

Result<uint64_t> CatalogWriter::new_disk_uid() {
  Bytes key = key_of('I', as_bytes("uid"));
  TRY_ASSIGN(auto value, writer_.get(key));
  uint64_t uid = 1;
  if (value) {
    ByteReader reader(*value);
    uid = reader.number<uint64_t>();
    if (!reader.finished()) {
      return Error{Fault::kDamaged, 0,
                   "damaged counter of disk uids in the store's meta/data.mdb; `casdisk repair "
                   "--rebuild` makes it anew from the packs"};
    }
  }
  TRY(writer_.put(key, ByteWriter().number(uid + 1).take()));
  return uid;
}

Result<void> CatalogWriter::put_head(const std::string& disk, HeadRecord head) {
  head.version++;
  const Bytes encoded = encode(head);
  // A record that no decoder takes would be a disk that nobody can open.
  if (auto decoded = decode_head(encoded); !decoded.ok()) {
    return Error{Fault::kInvalid, 0, fmt::format("disk {}: {}", disk, decoded.error().context)};
  }
  return writer_.put(key_of('D', as_bytes(disk)), encoded);
}

Result<void> CatalogWriter::remove_head(const std::string& disk) {
  TRY_ASSIGN(bool removed, writer_.remove(key_of('D', as_bytes(disk))));
  CHECK(removed);
  return {};
}

Result<void> CatalogWriter::put_checkpoint(uint64_t disk_uid, const std::string& name,
                                           const ChunkId& id, std::span<const std::byte> encoded) {
  TRY(put_checkpoint_record(id, encoded));
  return name_checkpoint(disk_uid, name, id);
}

Result<void> CatalogWriter::put_checkpoint_record(const ChunkId& id,
                                                  std::span<const std::byte> encoded) {
  return writer_.put(key_of('K', id.bytes), encoded);
}

Result<void> CatalogWriter::name_checkpoint(uint64_t disk_uid, const std::string& name,
                                            const ChunkId& id) {
  return writer_.put(checkpoint_name_key(disk_uid, name), id.bytes);
}

Result<bool> CatalogWriter::remove_checkpoint_name(uint64_t disk_uid, const std::string& name) {
  return writer_.remove(checkpoint_name_key(disk_uid, name));
}

Result<void> CatalogWriter::put_fallback(const FallbackId& id, const FallbackRecord& record) {
  return writer_.put(key_of('F', id.bytes), encode(record));
}

Result<void> CatalogWriter::remove_checkpoint_record(const ChunkId& id) {
  TRY(writer_.remove(key_of('K', id.bytes)));
  return {};
}

Result<void> CatalogWriter::remove_fallback(const FallbackId& id) {
  TRY(writer_.remove(key_of('F', id.bytes)));
  return {};
}

Result<void> Catalog::view(const std::function<Result<void>(CatalogReader&)>& body) const {
  return environment_.view([&](LmdbReader& reader) {
    CatalogReader catalog(reader);
    return body(catalog);
  });
}

Result<void> Catalog::update(const std::function<Result<void>(CatalogWriter&)>& body) const {
  return environment_.update([&](LmdbWriter& writer) {
    CatalogWriter catalog(writer);
    return body(catalog);
  });
}

Result<HeadRecord> Catalog::head(const std::string& disk) const {
  HeadRecord head;
  TRY(view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(head, reader.head(disk));
    return {};
  }));
  return head;
}

Result<CheckpointRecord> Catalog::checkpoint(const ChunkId& id) const {
  CheckpointRecord record;
  TRY(view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(record, reader.checkpoint(id));
    return {};
  }));
  return record;
}

}  // namespace casdisk
