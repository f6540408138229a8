#include "cas/kv/kv_file_record.h"

#include <algorithm>

namespace casdisk {
namespace {

constexpr uint8_t kForm = 1;

Error damaged(const char* what) {
  return Error{Fault::kDamaged, 0, std::string("record of a file in a key-value store: ") + what};
}

KvWriteId read_id(ByteReader& reader) {
  KvWriteId id;
  const auto bytes = reader.raw(id.bytes.size());
  if (!bytes.empty()) std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return id;
}

void append_run(std::vector<KvBlockRun>& runs, uint64_t block_count, const KvWriteId& write) {
  if (block_count == 0) return;
  if (!runs.empty() && runs.back().write == write) {
    runs.back().block_count += block_count;
  } else {
    runs.push_back({block_count, write});
  }
}

}  // namespace

KvWriteId KvFileRecord::write_of(uint64_t index) const {
  for (const KvBlockRun& run : runs) {
    if (index < run.block_count) return run.write;
    index -= run.block_count;
  }
  return {};
}

std::vector<KvBlockRange> KvFileRecord::ranges() const {
  std::vector<KvBlockRange> ranges;
  uint64_t first = 0;
  for (const KvBlockRun& run : runs) {
    if (!run.write.is_hole()) ranges.push_back({run.write, first, run.block_count});
    first += run.block_count;
  }
  return ranges;
}

std::vector<KvBlockRange> KvFileRecord::replace(uint64_t first, uint64_t count,
                                                const KvWriteId& write) {
  const uint64_t end = first + count;
  std::vector<KvBlockRun> made;
  std::vector<KvBlockRange> replaced;
  uint64_t at = 0;
  bool is_placed = false;
  for (const KvBlockRun& run : runs) {
    const uint64_t run_end = at + run.block_count;
    const uint64_t before = std::clamp(first, at, run_end) - at;
    const uint64_t behind = run_end - std::clamp(end, at, run_end);
    append_run(made, before, run.write);
    if (!is_placed && first < run_end) {
      append_run(made, count, write);
      is_placed = true;
    }
    const uint64_t gone = run.block_count - before - behind;
    if (gone > 0 && !run.write.is_hole()) replaced.push_back({run.write, at + before, gone});
    append_run(made, behind, run.write);
    at = run_end;
  }
  if (!is_placed) {
    append_run(made, first - at, KvWriteId());
    append_run(made, count, write);
  }
  runs = std::move(made);
  return replaced;
}

Bytes encode_kv_file(const KvFileRecord& record) {
  ByteWriter writer(kKvFileHeadBytes + record.runs.size() * kKvRunBytes);
  writer.number(kForm)
      .number(record.size_bytes)
      .number(record.block_bytes)
      .number(record.modified_ms)
      .number(uint32_t(record.runs.size()));
  for (const KvBlockRun& run : record.runs) {
    writer.number(run.block_count).raw(as_bytes(run.write.text()));
  }
  return writer.take();
}

Result<KvFileRecord> decode_kv_file(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  if (reader.number<uint8_t>() != kForm) return damaged("of an unknown form");
  KvFileRecord record;
  record.size_bytes = reader.number<uint64_t>();
  record.block_bytes = reader.number<uint32_t>();
  record.modified_ms = reader.number<uint64_t>();
  const auto run_count = reader.number<uint32_t>();
  if (reader.failed() || reader.left() != uint64_t(run_count) * kKvRunBytes) {
    return damaged("not of the length that it says");
  }
  if (record.size_bytes > kMaxKvFileBytes || record.block_bytes == 0 ||
      record.block_bytes > kMaxKvBlockBytes) {
    return damaged("impossible sizes");
  }
  record.runs.reserve(run_count);
  uint64_t left = record.block_count();
  for (uint32_t i = 0; i < run_count; i++) {
    const auto block_count = reader.number<uint64_t>();
    const KvWriteId write = read_id(reader);
    const bool is_split = i > 0 && record.runs.back().write == write;
    if (block_count == 0 || block_count > left || is_split) return damaged("impossible runs");
    left -= block_count;
    record.runs.push_back({block_count, write});
  }
  if (left != 0) return damaged("runs that do not make the whole");
  return record;
}

Bytes encode_kv_ranges(const std::vector<KvBlockRange>& ranges) {
  ByteWriter writer(ranges.size() * kKvRangeBytes);
  for (const KvBlockRange& range : ranges) {
    writer.raw(as_bytes(range.write.text())).number(range.first).number(range.count);
  }
  return writer.take();
}

Result<std::vector<KvBlockRange>> decode_kv_ranges(std::span<const std::byte> bytes) {
  if (bytes.size() % kKvRangeBytes != 0) return damaged("ranges that are cut off");
  std::vector<KvBlockRange> ranges;
  ranges.reserve(bytes.size() / kKvRangeBytes);
  ByteReader reader(bytes);
  while (reader.left() > 0) {
    KvBlockRange range;
    range.write = read_id(reader);
    range.first = reader.number<uint64_t>();
    range.count = reader.number<uint64_t>();
    const uint64_t most = kMaxKvFileBytes;
    const bool is_possible =
        range.count == kAllKvBlocks ? range.first == 0 : range.first <= most && range.count <= most;
    if (!is_possible || range.write.is_hole()) return damaged("impossible ranges");
    ranges.push_back(range);
  }
  return ranges;
}

}  // namespace casdisk
