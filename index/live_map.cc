#include "index/live_map.h"

#include <fmt/format.h>

#include <algorithm>

#include "cas/crc32c.h"
#include "cas/os/bytes.h"

namespace casdisk {
namespace {

constexpr uint64_t kHeaderBytes = 4096;
constexpr uint32_t kMapMagic = 0x504D4443;  // "CDMP"
constexpr uint32_t kMapVersion = 1;
constexpr size_t kBootIdBytes = 40;
constexpr size_t kChecksumAt = 72;
constexpr size_t kPoisonAt = 80;  // after the checksum: it changes while the map is in use

// 64 KiB of words, which describe 1 GiB of disk.
constexpr uint64_t kStepChunks = 16 * 1024;
constexpr uint64_t kStepBytes = kStepChunks * sizeof(ChunkWord);

uint64_t steps_for(uint64_t chunk_count) { return (chunk_count + kStepChunks - 1) / kStepChunks; }

Bytes encode_header(uint64_t generation, uint64_t chunk_count, const MountProof& proof) {
  Bytes boot_id(kBootIdBytes);
  std::memcpy(boot_id.data(), proof.boot_id.data(), std::min(proof.boot_id.size(), kBootIdBytes));
  ByteWriter writer;
  writer.number(kMapMagic).number(kMapVersion).number(generation).number(chunk_count);
  writer.number(proof.mount_id).raw(boot_id);
  Bytes header = writer.take();
  uint32_t checksum = crc32c(header);
  header.resize(kChecksumAt + sizeof(checksum));
  store_le(&header[kChecksumAt], checksum);
  return header;
}

}  // namespace

LiveMap::LiveMap(std::unique_ptr<File> file, std::unique_ptr<Mapping> mapping, uint64_t generation,
                 uint64_t chunk_count)
    : file_(std::move(file)),
      mapping_(std::move(mapping)),
      generation_(generation),
      chunk_count_(chunk_count),
      reserved_steps_(steps_for(chunk_count) / 64 + 1) {}

Result<std::unique_ptr<LiveMap>> LiveMap::create(Directory& directory, const std::string& name,
                                                 uint64_t generation, uint64_t chunk_count) {
  TRY_ASSIGN(auto file, directory.open(name, OpenMode::kCreateAny));
  TRY(file->resize(0));
  TRY(file->resize(kHeaderBytes + steps_for(chunk_count) * kStepBytes));
  TRY(file->allocate(0, kHeaderBytes));
  TRY_ASSIGN(auto mapping, directory.map(*file));
  return std::unique_ptr<LiveMap>(
      new LiveMap(std::move(file), std::move(mapping), generation, chunk_count));
}

Result<std::unique_ptr<LiveMap>> LiveMap::open(Directory& directory, const std::string& name,
                                               uint64_t generation, uint64_t chunk_count,
                                               const MountProof& proof) {
  auto opened = directory.open(name, OpenMode::kWrite);
  if (!opened.ok()) {
    if (opened.error().fault == Fault::kNotFound) return std::unique_ptr<LiveMap>();
    return std::move(opened.error());
  }
  auto file = std::move(opened).value();
  TRY_ASSIGN(uint64_t size_bytes, file->size());
  if (size_bytes != kHeaderBytes + steps_for(chunk_count) * kStepBytes) {
    return std::unique_ptr<LiveMap>();
  }
  Bytes wanted = encode_header(generation, chunk_count, proof);
  Bytes header(wanted.size());
  TRY(file->read(0, header));
  if (header != wanted) return std::unique_ptr<LiveMap>();

  TRY_ASSIGN(auto mapping, directory.map(*file));
  std::unique_ptr<LiveMap> map(
      new LiveMap(std::move(file), std::move(mapping), generation, chunk_count));
  // Words that were stored lie in data; a step that is all hole was never stored to.
  for (uint64_t at = kHeaderBytes;;) {
    TRY_ASSIGN(DataRange data, map->file_->next_data(at));
    if (data.length == 0) break;
    at = data.offset + data.length;
    uint64_t first = (std::max(data.offset, kHeaderBytes) - kHeaderBytes) / kStepBytes;
    uint64_t last = (at - 1 - kHeaderBytes) / kStepBytes;
    TRY(map->reserve(first * kStepChunks, (last - first + 1) * kStepChunks));
  }
  for (uint64_t chunk = 0; (chunk = map->next_dirty(chunk, chunk_count)) < chunk_count; chunk++) {
    if (is_valid(map->get(chunk))) continue;
    return Error{Fault::kDamaged, 0,
                 fmt::format("{}/{}: chunk {} has no valid state: what was written there is lost; "
                             "`casdisk rollback` brings back a checkpoint",
                             directory.path(), name, chunk)};
  }
  return map;
}

void LiveMap::validate(const MountProof& proof) {
  Bytes header = encode_header(generation_, chunk_count_, proof);
  std::memcpy(mapping_->bytes().data(), header.data(), header.size());
}

ChunkWord* LiveMap::word(uint64_t chunk) const {
  CHECK(chunk < chunk_count_);
  return reinterpret_cast<ChunkWord*>(mapping_->bytes().data() + kHeaderBytes) + chunk;
}

bool LiveMap::step_is_reserved(uint64_t step) const {
  return (reserved_steps_[step / 64].load(std::memory_order_acquire) >> (step % 64)) & 1;
}

bool LiveMap::is_reserved(uint64_t first, uint64_t count) const {
  for (uint64_t step = first / kStepChunks; step <= (first + count - 1) / kStepChunks; step++) {
    if (!step_is_reserved(step)) return false;
  }
  return true;
}

ChunkWord LiveMap::get(uint64_t chunk) const {
  if (!step_is_reserved(chunk / kStepChunks)) return kAllClean;
  return std::atomic_ref<ChunkWord>(*word(chunk)).load(std::memory_order_acquire);
}

Result<void> LiveMap::reserve(uint64_t first, uint64_t count) {
  if (count == 0) return {};
  uint64_t last_step = std::min((first + count - 1) / kStepChunks, steps_for(chunk_count_) - 1);
  for (uint64_t step = first / kStepChunks; step <= last_step; step++) {
    if (step_is_reserved(step)) continue;
    TRY(file_->allocate(kHeaderBytes + step * kStepBytes, kStepBytes));
    reserved_steps_[step / 64].fetch_or(uint64_t(1) << (step % 64), std::memory_order_release);
  }
  return {};
}

void LiveMap::set(uint64_t chunk, ChunkWord value) {
  CHECK(step_is_reserved(chunk / kStepChunks) && is_valid(value));
  std::atomic_ref<ChunkWord>(*word(chunk)).store(value, std::memory_order_release);
}

uint64_t LiveMap::next_dirty(uint64_t from, uint64_t end) const {
  end = std::min(end, chunk_count_);
  while (from < end) {
    if (!step_is_reserved(from / kStepChunks)) {
      from = (from / kStepChunks + 1) * kStepChunks;
      continue;
    }
    uint64_t step_end = std::min(end, (from / kStepChunks + 1) * kStepChunks);
    for (; from < step_end; from++) {
      if (get(from) != kAllClean) return from;
    }
  }
  return end;
}

bool LiveMap::poisoned() const { return mapping_->bytes()[kPoisonAt] != std::byte(0); }

void LiveMap::poison() {
  std::atomic_ref<std::byte>(mapping_->bytes()[kPoisonAt]).store(std::byte(1));
}

}  // namespace casdisk
