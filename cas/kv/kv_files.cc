#include "cas/kv/kv_files.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>

#include "cas/kv/key_codec.h"
#include "cas/kv/kv_pause.h"

namespace casdisk {
namespace {

// The four scopes, from KvFilesOptions::first_scope on.
constexpr uint8_t kEntry = 0;    // name: the file's record
constexpr uint8_t kStaged = 1;   // write id: when it began; there while it is not published
constexpr uint8_t kGarbage = 2;  // write id: ranges that no file names any more
constexpr uint8_t kBlock = 3;    // write id, block number: a block

constexpr size_t kIdBytes = sizeof(KvWriteId::bytes);
constexpr size_t kMaxRunCount = 4096;
constexpr int kMaxTries = 100;
// Of one batch of blocks: small enough for every store's requests, large enough to be few.
constexpr size_t kStagedCount = 64;
constexpr size_t kStagedBytes = size_t(4) << 20;
// Of records that are removed in one go.
constexpr uint64_t kFreedCount = 1024;

KvWriteId random_id() {
  KvWriteId id;
  do {
    CHECK(::getrandom(id.bytes.data(), kIdBytes, 0) == ssize_t(kIdBytes));
  } while (id.is_hole());
  return id;
}

std::string_view to_text(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

size_t block_bytes_for(const KvLimits& limits) {
  return std::min({size_t(kMaxKvBlockBytes), limits.value_bytes, limits.write_bytes / 2});
}

// The record and the note of what it named before must fit into one batch.
size_t max_run_count_for(const KvLimits& limits) {
  const size_t bytes = std::min(limits.value_bytes, limits.write_bytes / 4);
  return std::min(kMaxRunCount, (bytes - kKvFileHeadBytes) / kKvRangeBytes);
}

std::vector<KvBlockRange> all_of(const KvWriteId& write) { return {{write, 0, kAllKvBlocks}}; }

KvFileInfo info_of(std::string_view name, const KvFileRecord& record, uint64_t version) {
  return {std::string(name), record.size_bytes, record.modified_ms, version};
}

Error not_found(const KvStore& store, std::string_view name) {
  return Error{Fault::kNotFound, 0,
               fmt::format("{}: file {}: there is none", store.name(), kv_quote(name))};
}

Error changed(const KvStore& store, std::string_view name) {
  return Error{Fault::kConflict, 0,
               fmt::format("{}: file {}: somebody else changed it", store.name(), kv_quote(name))};
}

Error is_there(const KvStore& store, std::string_view name) {
  return Error{Fault::kExists, 0,
               fmt::format("{}: file {}: it is there already", store.name(), kv_quote(name))};
}

}  // namespace

KvFiles::KvFiles(KvStore& store, const KvFilesOptions& options)
    : store_(store),
      options_(options),
      block_bytes_(uint32_t(block_bytes_for(store.limits()))),
      max_run_count_(max_run_count_for(store.limits())) {}

Result<std::unique_ptr<KvFiles>> KvFiles::open(KvStore& store, const KvFilesOptions& options) {
  const KvLimits& limits = store.limits();
  const bool is_enough = store.capabilities().has(KvCapability::kVersions) &&
                         store.capabilities().has(KvCapability::kBatch) && !limits.is_text &&
                         limits.operation_count >= 3 && limits.key_bytes > 1 + kIdBytes + 8 &&
                         limits.value_bytes >= 512 && limits.write_bytes >= 4096 &&
                         options.first_scope <= 0xff - kBlock;
  if (!is_enough) {
    return Error{Fault::kUnsupported, 0,
                 store.name() + ": files need a store with versions, batches and binary keys"};
  }
  return std::unique_ptr<KvFiles>(new KvFiles(store, options));
}

std::string KvFiles::entry_key(std::string_view name) const {
  return KvKeyWriter(options_.first_scope + kEntry).raw(name).take();
}
std::string KvFiles::staged_key(const KvWriteId& write) const {
  return KvKeyWriter(options_.first_scope + kStaged).raw(write.text()).take();
}
std::string KvFiles::garbage_key(const KvWriteId& write) const {
  return KvKeyWriter(options_.first_scope + kGarbage).raw(write.text()).take();
}
std::string KvFiles::block_key(const KvWriteId& write, uint64_t index) const {
  return KvKeyWriter(options_.first_scope + kBlock).raw(write.text()).number(index).take();
}

Result<std::optional<KvFiles::Entry>> KvFiles::find(std::string_view name) {
  if (name.empty()) return Error{Fault::kInvalid, 0, store_.name() + ": a file with an empty name"};
  TRY_ASSIGN(const auto value, store_.get(entry_key(name)));
  if (!value) return std::optional<Entry>();
  TRY_ASSIGN(KvFileRecord record, decode_kv_file(as_bytes(value->bytes)));
  return std::optional(Entry{std::move(record), value->version});
}

Result<KvFiles::Entry> KvFiles::must_find(std::string_view name) {
  TRY_ASSIGN(auto entry, find(name));
  if (!entry) return not_found(store_, name);
  return std::move(*entry);
}

Result<KvFileInfo> KvFiles::create(std::string_view name, std::string_view content) {
  return change(name, {0, content, true}, [&](const auto& old) -> Result<void> {
    if (!old) return {};
    return is_there(store_, name);
  });
}

Result<KvFileInfo> KvFiles::replace(std::string_view name, std::string_view content,
                                    std::optional<uint64_t> if_version) {
  return change(name, {0, content, true}, [&](const auto& old) -> Result<void> {
    if (!if_version || (old && old->version == *if_version)) return {};
    return changed(store_, name);
  });
}

Result<KvFileInfo> KvFiles::write(std::string_view name, uint64_t offset, std::string_view bytes) {
  if (bytes.empty()) return stat(name);
  return change(name, {offset, bytes, false}, [&](const auto& old) -> Result<void> {
    return old ? Result<void>() : not_found(store_, name);
  });
}

Result<KvFileInfo> KvFiles::change(std::string_view name, const Edit& edit, const Rule& rule) {
  if (edit.offset > kMaxKvFileBytes || edit.bytes.size() > kMaxKvFileBytes - edit.offset) {
    return Error{Fault::kTooLarge, 0,
                 fmt::format("{}: file {}: {} bytes at {}, and {} is the most", store_.name(),
                             kv_quote(name), edit.bytes.size(), edit.offset, kMaxKvFileBytes),
                 kMaxKvFileBytes, edit.offset};
  }
  for (int tried = 0; tried < kMaxTries; tried++) {
    pause_before_kv_try(tried);
    TRY_ASSIGN(const auto old, find(name));
    TRY(rule(old));
    const KvWriteId write = random_id();
    auto done = attempt(name, old, edit, write);
    if (done.ok()) return done;
    abandon(write);
    if (old && done.error().fault == Fault::kNotFound) {
      TRY(check_overtaken(name, old->version, done.error()));
    } else if (done.error().fault != Fault::kConflict) {
      return done;
    }
  }
  return changed(store_, name);
}

Result<KvFileInfo> KvFiles::attempt(std::string_view name, const std::optional<Entry>& old,
                                    const Edit& edit, const KvWriteId& write) {
  KvFileRecord none;
  none.block_bytes = block_bytes_;
  const KvFileRecord& base = old && !edit.is_whole ? old->record : none;
  KvFileRecord record = base;
  record.size_bytes = std::max<uint64_t>(base.size_bytes, edit.offset + edit.bytes.size());
  record.modified_ms = options_.clock();
  uint64_t first = edit.offset / base.block_bytes;
  uint64_t end = (edit.offset + edit.bytes.size() + base.block_bytes - 1) / base.block_bytes;
  std::vector<KvBlockRange> replaced;
  if (end > first) replaced = record.replace(first, end - first, write);
  if (record.runs.size() > max_run_count_) {  // in too many pieces: written anew as a whole
    first = 0;
    end = record.block_count();
    record.runs = {{end, write}};
    replaced = base.ranges();
  }
  if (old && edit.is_whole) replaced = old->record.ranges();

  KvBatch batch;
  const std::string key = entry_key(name);
  if (old) {
    batch.require_version(key, old->version);
  } else {
    batch.require_absent(key);
  }
  batch.put(key, to_text(encode_kv_file(record)));
  if (end > first) {
    TRY(stage(base, record.size_bytes, edit, first, end, write));
    batch.require_exists(staged_key(write)).remove(staged_key(write));
  }
  if (!replaced.empty()) batch.put(garbage_key(write), to_text(encode_kv_ranges(replaced)));
  TRY_ASSIGN(const auto outcomes, store_.write(batch));
  // Done, whatever becomes of this; the note stays until it is.
  if (!replaced.empty()) (void)free_garbage(garbage_key(write), replaced).ok();
  return info_of(name, record, outcomes[0].version);
}

// Puts the blocks [first, end), on the condition that nobody has given the write up: what has no
// note would never be found.
Result<void> KvFiles::stage(const KvFileRecord& old, uint64_t new_size_bytes, const Edit& edit,
                            uint64_t first, uint64_t end, const KvWriteId& write) {
  const std::string note = staged_key(write);
  const Bytes began_ms = ByteWriter().number(options_.clock()).take();
  TRY(store_.put(note, to_text(began_ms), {.if_absent = true}));
  const size_t most_count = std::min(store_.limits().operation_count, kStagedCount);
  const size_t most_bytes = std::min(store_.limits().write_bytes, kStagedBytes);
  KvBatch batch;
  size_t count = 0;
  size_t bytes = 0;
  for (uint64_t index = first; index < end; index++) {
    TRY_ASSIGN(const std::string block, merged_block(old, new_size_bytes, edit, index));
    const std::string key = block_key(write, index);
    if (count == most_count || (count > 0 && bytes + key.size() + block.size() > most_bytes)) {
      TRY(store_.write(batch.require_exists(note)));
      batch = KvBatch();
      count = bytes = 0;
    }
    batch.put(key, block);
    count++;
    bytes += key.size() + block.size();
  }
  TRY(store_.write(batch.require_exists(note)));
  return {};
}

// What the block is after the edit.
Result<std::string> KvFiles::merged_block(const KvFileRecord& old, uint64_t new_size_bytes,
                                          const Edit& edit, uint64_t index) {
  const uint64_t begin = index * old.block_bytes;
  const uint64_t end = std::min(begin + old.block_bytes, new_size_bytes);
  const uint64_t edit_end = edit.offset + edit.bytes.size();
  std::string block(size_t(end - begin), '\0');
  const bool is_covered = edit.offset <= begin && edit_end >= end;
  if (!is_covered && begin < old.size_bytes) {
    const size_t old_bytes = size_t(std::min(end, old.size_bytes) - begin);
    TRY(read_blocks(old, begin, std::span(block).first(old_bytes)));
  }
  const uint64_t from = std::max(begin, edit.offset);
  const uint64_t to = std::min(end, edit_end);
  if (from < to) {
    block.replace(size_t(from - begin), size_t(to - from),
                  edit.bytes.substr(size_t(from - edit.offset), size_t(to - from)));
  }
  return block;
}

// kNotFound where a block is not there: see check_overtaken().
Result<void> KvFiles::read_blocks(const KvFileRecord& record, uint64_t offset, std::span<char> to) {
  while (!to.empty()) {
    const uint64_t index = offset / record.block_bytes;
    const uint64_t within = offset % record.block_bytes;
    const size_t bytes = size_t(std::min<uint64_t>(to.size(), record.block_bytes - within));
    const KvWriteId write = record.write_of(index);
    std::ranges::fill(to.first(bytes), '\0');
    if (!write.is_hole()) {
      TRY_ASSIGN(const auto block, store_.get_range(block_key(write, index), within, bytes));
      if (!block) return Error{Fault::kNotFound, 0, fmt::format("block {} is missing", index)};
      // A block that was the last one is shorter; zeros follow.
      std::ranges::copy(block->bytes, to.begin());
    }
    to = to.subspan(bytes);
    offset += bytes;
  }
  return {};
}

// A block was missing. Blocks go after their file has another version; else it is damage.
Result<void> KvFiles::check_overtaken(std::string_view name, uint64_t version,
                                      const Error& missing) {
  TRY_ASSIGN(const auto now, find(name));
  if (!now || now->version != version) return {};
  return Error{Fault::kDamaged, 0,
               fmt::format("{}: file {}: {}; replace the file", store_.name(), kv_quote(name),
                           missing.context)};
}

Result<KvFileInfo> KvFiles::stat(std::string_view name) {
  TRY_ASSIGN(const Entry entry, must_find(name));
  return info_of(name, entry.record, entry.version);
}

Result<size_t> KvFiles::read(std::string_view name, uint64_t offset, std::span<char> to) {
  for (int tried = 0; tried < kMaxTries; tried++) {
    TRY_ASSIGN(const Entry entry, must_find(name));
    if (offset >= entry.record.size_bytes) return size_t(0);
    const size_t bytes = size_t(std::min<uint64_t>(to.size(), entry.record.size_bytes - offset));
    auto done = read_blocks(entry.record, offset, to.first(bytes));
    if (done.ok()) return bytes;
    if (done.error().fault != Fault::kNotFound) return std::move(done.error());
    TRY(check_overtaken(name, entry.version, done.error()));
  }
  return changed(store_, name);
}

Result<KvFilePage> KvFiles::list(std::string_view prefix, const KvListOptions& options) {
  TRY_ASSIGN(KvPage page, store_.list(entry_key(prefix), options));
  KvFilePage files;
  files.cursor = std::move(page.cursor);
  for (const KvRecord& record : page.records) {
    KvFileRecord file;
    if (options.with_values) {
      TRY_ASSIGN(file, decode_kv_file(as_bytes(record.value.bytes)));
    }
    files.files.push_back(
        info_of(std::string_view(record.key).substr(1), file, record.value.version));
  }
  return files;
}

Result<bool> KvFiles::remove(std::string_view name) {
  for (int tried = 0; tried < kMaxTries; tried++) {
    pause_before_kv_try(tried);
    TRY_ASSIGN(const auto entry, find(name));
    if (!entry) return false;
    const std::string key = entry_key(name);
    const std::string note = garbage_key(random_id());
    const auto ranges = entry->record.ranges();
    KvBatch batch;
    batch.require_version(key, entry->version).remove(key);
    if (!ranges.empty()) batch.put(note, to_text(encode_kv_ranges(ranges)));
    auto done = store_.write(batch);
    if (done.ok()) {
      if (!ranges.empty()) (void)free_garbage(note, ranges).ok();
      return true;
    }
    if (done.error().fault != Fault::kConflict) return std::move(done.error());
  }
  return changed(store_, name);
}

Result<void> KvFiles::rename(std::string_view from, std::string_view to) {
  for (int tried = 0; tried < kMaxTries; tried++) {
    pause_before_kv_try(tried);
    TRY_ASSIGN(const Entry entry, must_find(from));
    TRY_ASSIGN(const auto other, find(to));
    if (from == to) return {};
    if (other) {
      return is_there(store_, to);
    }
    KvBatch batch;
    batch.require_version(entry_key(from), entry.version).require_absent(entry_key(to));
    batch.remove(entry_key(from)).put(entry_key(to), to_text(encode_kv_file(entry.record)));
    auto done = store_.write(batch);
    if (done.ok()) return {};
    if (done.error().fault != Fault::kConflict) return std::move(done.error());
  }
  return changed(store_, from);
}

// Where this fails, collect() does it.
void KvFiles::abandon(const KvWriteId& write) {
  if (give_up(write).ok()) (void)free_garbage(garbage_key(write), all_of(write)).ok();
}

// Makes a staged write one that is to be freed. kConflict: it is staged no longer.
Result<void> KvFiles::give_up(const KvWriteId& write) {
  KvBatch batch;
  batch.require_exists(staged_key(write)).remove(staged_key(write));
  batch.put(garbage_key(write), to_text(encode_kv_ranges(all_of(write))));
  TRY(store_.write(batch));
  return {};
}

Result<uint64_t> KvFiles::free_range(const KvBlockRange& range) {
  uint64_t freed_count = 0;
  std::vector<std::string> keys;
  if (range.count == kAllKvBlocks) {
    const std::string prefix =
        KvKeyWriter(options_.first_scope + kBlock).raw(range.write.text()).take();
    KvListOptions page_options{.with_values = false};
    do {
      TRY_ASSIGN(KvPage page, store_.list(prefix, page_options));
      keys.clear();
      for (KvRecord& record : page.records) keys.push_back(std::move(record.key));
      TRY_ASSIGN(const uint64_t count, store_.remove_many(keys));
      freed_count += count;
      page_options.cursor = std::move(page.cursor);
    } while (page_options.cursor);
    return freed_count;
  }
  for (uint64_t done = 0; done < range.count; done += keys.size()) {
    keys.clear();
    for (uint64_t i = done; i < range.count && keys.size() < kFreedCount; i++) {
      keys.push_back(block_key(range.write, range.first + i));
    }
    TRY_ASSIGN(const uint64_t count, store_.remove_many(keys));
    freed_count += count;
  }
  return freed_count;
}

Result<uint64_t> KvFiles::free_garbage(const std::string& key,
                                       const std::vector<KvBlockRange>& ranges) {
  uint64_t freed_count = 0;
  for (const KvBlockRange& range : ranges) {
    TRY_ASSIGN(const uint64_t count, free_range(range));
    freed_count += count;
  }
  TRY(store_.remove(key));
  return freed_count;
}

Result<uint64_t> KvFiles::collect(uint64_t age_ms) {
  const uint64_t now_ms = options_.clock();
  const std::string staged = KvKeyWriter(options_.first_scope + kStaged).take();
  TRY(store_.visit(staged, [&](const KvRecord& record) -> Result<void> {
    ByteReader reader(as_bytes(record.value.bytes));
    const auto began_ms = reader.number<uint64_t>();
    KvWriteId write;
    if (!reader.finished() || record.key.size() != 1 + kIdBytes) {
      return Error{Fault::kDamaged, 0, store_.name() + ": the note of a write is not one"};
    }
    std::ranges::copy(record.key.substr(1), write.bytes.begin());
    if (began_ms <= now_ms && now_ms - began_ms >= age_ms) {
      auto done = give_up(write);
      if (!done.ok() && done.error().fault != Fault::kConflict) return done;
    }
    return {};
  }));
  uint64_t freed_count = 0;
  const std::string garbage = KvKeyWriter(options_.first_scope + kGarbage).take();
  TRY(store_.visit(garbage, [&](const KvRecord& record) -> Result<void> {
    TRY_ASSIGN(const auto ranges, decode_kv_ranges(as_bytes(record.value.bytes)));
    TRY_ASSIGN(const uint64_t count, free_garbage(record.key, ranges));
    freed_count += count;
    return {};
  }));
  return freed_count;
}

}  // namespace casdisk
