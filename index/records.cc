#include "index/records.h"

#include <fmt/format.h>

#include <algorithm>

#include "index/tree.h"

namespace casdisk {
namespace {

constexpr uint8_t kHeadVersion = 1;
constexpr uint8_t kCheckpointVersion = 1;
constexpr uint8_t kFallbackVersion = 1;

void put_entry(ByteWriter& writer, const Entry& entry) {
  writer.number(uint8_t(entry.state)).raw(entry.id.bytes);
}

void put_id(ByteWriter& writer, const std::optional<ChunkId>& id) {
  writer.number(uint8_t(id ? 1 : 0)).raw(id.value_or(ChunkId{}).bytes);
}

void put_fallback_use(ByteWriter& writer, const std::optional<FallbackUse>& use) {
  put_id(writer, use ? std::optional(use->file) : std::nullopt);
  writer.number(use ? use->limit_bytes : 0);
}

void put_labels(ByteWriter& writer, const Labels& labels) {
  writer.number(uint32_t(labels.size()));
  for (const auto& [key, value] : labels) writer.text(key).text(value);
}

void put_attachments(ByteWriter& writer, const std::vector<Attachment>& attachments) {
  writer.number(uint32_t(attachments.size()));
  for (const Attachment& attachment : attachments) {
    writer.text(attachment.name).number(attachment.size_bytes);
    put_entry(writer, attachment.root);
  }
}

// A ByteReader that knows our fields and remembers the first thing that was wrong.
struct RecordReader {
  ByteReader bytes;
  std::string_view what;
  std::string wrong;

  void fail(std::string why) {
    if (wrong.empty()) wrong = std::move(why);
  }
  void version(uint8_t known) {
    uint8_t found = bytes.number<uint8_t>();
    if (found != known) fail(fmt::format("version {}, this program knows {}", found, known));
  }
  ChunkId id() {
    ChunkId id;
    auto raw = bytes.raw(id.bytes.size());
    if (raw.size() == id.bytes.size()) std::copy(raw.begin(), raw.end(), id.bytes.begin());
    return id;
  }
  bool flag() {
    uint8_t value = bytes.number<uint8_t>();
    if (value > 1) fail("a flag is neither 0 nor 1");
    return value == 1;
  }
  Entry entry() {
    uint8_t state = bytes.number<uint8_t>();
    Entry entry{EntryState(state), id()};
    if (state > uint8_t(EntryState::kId)) fail(fmt::format("unknown entry state {}", state));
    if (state != uint8_t(EntryState::kId) && entry.id != ChunkId{}) fail("an id that is none");
    return entry;
  }
  std::optional<ChunkId> optional_id() {
    bool present = flag();
    ChunkId value = id();
    if (!present && value != ChunkId{}) fail("an id that is none");
    return present ? std::optional(value) : std::nullopt;
  }
  std::optional<FallbackUse> fallback_use() {
    auto file = optional_id();
    uint64_t limit_bytes = bytes.number<uint64_t>();
    if (file.has_value() != (limit_bytes != 0)) fail("a fallback limit without a fallback");
    return file ? std::optional(FallbackUse{*file, limit_bytes}) : std::nullopt;
  }
  uint64_t size() {
    uint64_t value = bytes.number<uint64_t>();
    if (value == 0 || value > kMaxDiskBytes) fail(fmt::format("a size of {} bytes", value));
    return value;
  }
  size_t count(size_t most) {
    uint32_t value = bytes.number<uint32_t>();
    if (value > most) fail(fmt::format("{} items, at most {} are allowed", value, most));
    return wrong.empty() ? value : 0;
  }
  Labels labels() {
    Labels labels;
    for (size_t left = count(kMaxLabels); left > 0; left--) {
      std::string key = bytes.text();
      labels.emplace_back(std::move(key), bytes.text());
    }
    return labels;
  }
  std::vector<Attachment> attachments() {
    std::vector<Attachment> attachments;
    for (size_t left = count(kMaxAttachments); left > 0; left--) {
      Attachment attachment;
      attachment.name = bytes.text();
      attachment.size_bytes = size();
      attachment.root = entry();
      attachments.push_back(std::move(attachment));
    }
    return attachments;
  }
  template <typename Record>
  Result<Record> finish(Record record) {
    if (!bytes.finished()) fail(bytes.failed() ? "is cut short" : "has bytes beyond its end");
    if (wrong.empty()) return record;
    return Error{Fault::kDamaged, 0, fmt::format("{} record: {}", what, wrong)};
  }
};

}  // namespace

FallbackId FallbackRecord::id() const {
  ByteWriter writer;
  writer.number(identity.device).number(identity.inode).number(identity.size_bytes);
  writer.number(uint64_t(identity.mtime_ns)).text(path);
  return hash_of(writer.take());
}

Bytes encode(const FallbackRecord& record) {
  ByteWriter writer;
  writer.number(kFallbackVersion);
  writer.number(record.identity.device).number(record.identity.inode);
  writer.number(record.identity.size_bytes).number(uint64_t(record.identity.mtime_ns));
  put_entry(writer, record.table_root);
  writer.text(record.path);
  return writer.take();
}

Result<FallbackRecord> decode_fallback(std::span<const std::byte> bytes) {
  RecordReader reader{ByteReader(bytes), "fallback", {}};
  reader.version(kFallbackVersion);
  FallbackRecord record;
  record.identity.device = reader.bytes.number<uint64_t>();
  record.identity.inode = reader.bytes.number<uint64_t>();
  record.identity.size_bytes = reader.bytes.number<uint64_t>();
  record.identity.mtime_ns = int64_t(reader.bytes.number<uint64_t>());
  record.table_root = reader.entry();
  record.path = reader.bytes.text();
  return reader.finish(std::move(record));
}

Bytes encode(const CheckpointRecord& record) {
  ByteWriter writer;
  writer.number(kCheckpointVersion);
  put_entry(writer, record.root);
  writer.number(record.size_bytes);
  put_id(writer, record.parent);
  put_fallback_use(writer, record.fallback);
  writer.number(uint64_t(record.time_ns)).text(record.disk).text(record.name);
  put_labels(writer, record.labels);
  put_attachments(writer, record.attachments);
  return writer.take();
}

Result<CheckpointRecord> decode_checkpoint(std::span<const std::byte> bytes) {
  RecordReader reader{ByteReader(bytes), "checkpoint", {}};
  reader.version(kCheckpointVersion);
  CheckpointRecord record;
  record.root = reader.entry();
  record.size_bytes = reader.size();
  record.parent = reader.optional_id();
  record.fallback = reader.fallback_use();
  record.time_ns = int64_t(reader.bytes.number<uint64_t>());
  record.disk = reader.bytes.text();
  record.name = reader.bytes.text();
  record.labels = reader.labels();
  record.attachments = reader.attachments();
  return reader.finish(std::move(record));
}

Bytes encode(const HeadRecord& record) {
  CHECK(record.generations.size() <= kMaxGenerations && record.pending.size() <= kMaxGenerations);
  ByteWriter writer;
  writer.number(kHeadVersion);
  writer.number(record.uid).number(record.version).number(record.size_bytes);
  put_entry(writer, record.root);
  put_id(writer, record.parent);
  put_fallback_use(writer, record.fallback);
  writer.number(uint64_t(record.created_ns)).number(record.next_generation);
  writer.number(uint8_t(record.active)).number(uint8_t(record.poisoned));
  writer.number(uint32_t(record.generations.size()));
  for (const HeadGeneration& generation : record.generations) {
    writer.number(generation.number).number(generation.size_bytes);
  }
  writer.number(uint32_t(record.pending.size()));
  for (const PendingCheckpoint& pending : record.pending) {
    writer.number(pending.generation).number(uint64_t(pending.time_ns)).text(pending.name);
    writer.number(pending.cut).number(uint8_t(pending.forked));
    put_labels(writer, pending.labels);
    put_attachments(writer, pending.attachments);
  }
  writer.number(uint8_t(record.origin ? 1 : 0));
  ForkOrigin origin = record.origin.value_or(ForkOrigin{});
  writer.number(origin.disk_uid).number(origin.cut);
  return writer.take();
}

Result<HeadRecord> decode_head(std::span<const std::byte> bytes) {
  RecordReader reader{ByteReader(bytes), "disk", {}};
  reader.version(kHeadVersion);
  HeadRecord record;
  record.uid = reader.bytes.number<uint64_t>();
  record.version = reader.bytes.number<uint64_t>();
  record.size_bytes = reader.size();
  record.root = reader.entry();
  record.parent = reader.optional_id();
  record.fallback = reader.fallback_use();
  record.created_ns = int64_t(reader.bytes.number<uint64_t>());
  record.next_generation = reader.bytes.number<uint64_t>();
  record.active = reader.flag();
  record.poisoned = reader.flag();
  for (size_t left = reader.count(kMaxGenerations); left > 0; left--) {
    HeadGeneration generation{reader.bytes.number<uint64_t>(), 0};
    generation.size_bytes = reader.size();
    record.generations.push_back(generation);
  }
  for (size_t left = reader.count(kMaxGenerations); left > 0; left--) {
    PendingCheckpoint pending;
    pending.generation = reader.bytes.number<uint64_t>();
    pending.time_ns = int64_t(reader.bytes.number<uint64_t>());
    pending.name = reader.bytes.text();
    pending.cut = reader.bytes.number<uint64_t>();
    pending.forked = reader.flag();
    pending.labels = reader.labels();
    pending.attachments = reader.attachments();
    record.pending.push_back(std::move(pending));
  }
  bool has_origin = reader.flag();
  ForkOrigin origin{reader.bytes.number<uint64_t>(), 0};
  origin.cut = reader.bytes.number<uint64_t>();
  if (has_origin) record.origin = origin;
  if (!has_origin && origin != ForkOrigin{}) reader.fail("an origin that is none");
  if (has_origin && !record.generations.empty()) reader.fail("writes before its origin is known");
  bool ascending =
      std::is_sorted(record.generations.begin(), record.generations.end(),
                     [](const auto& a, const auto& b) { return a.number < b.number; }) &&
      std::is_sorted(record.pending.begin(), record.pending.end(),
                     [](const auto& a, const auto& b) { return a.generation < b.generation; });
  if (!ascending) reader.fail("generations out of order");
  if (record.active && record.generations.empty()) reader.fail("active without a generation");
  return reader.finish(std::move(record));
}

}  // namespace casdisk
