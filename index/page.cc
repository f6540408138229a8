#include "index/page.h"

#include <fmt/format.h>

#include <bit>

namespace casdisk {
namespace {

constexpr uint32_t kPageMagic = 0x47504443;  // "CDPG"
constexpr uint8_t kPageVersion = 1;
constexpr size_t kIdBitmapAt = 8;
constexpr size_t kZeroBitmapAt = 40;
constexpr size_t kBitmapWords = kPageEntries / 64;

using Bitmap = std::array<uint64_t, kBitmapWords>;

Bitmap load_bitmap(std::span<const std::byte> bytes, size_t at) {
  Bitmap bitmap;
  for (size_t i = 0; i < kBitmapWords; i++) bitmap[i] = load_le<uint64_t>(&bytes[at + 8 * i]);
  return bitmap;
}

bool test(const Bitmap& bitmap, uint32_t slot) { return (bitmap[slot / 64] >> (slot % 64)) & 1; }

uint32_t count_below(const Bitmap& bitmap, uint32_t slot) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < slot / 64; i++) count += uint32_t(std::popcount(bitmap[i]));
  uint64_t below = (uint64_t(1) << (slot % 64)) - 1;
  return count + uint32_t(std::popcount(bitmap[slot / 64] & below));
}

uint32_t count_all(const Bitmap& bitmap) {
  uint32_t count = 0;
  for (uint64_t word : bitmap) count += uint32_t(std::popcount(word));
  return count;
}

Error damaged(std::string what) {
  return Error{Fault::kDamaged, 0, "index page: " + std::move(what)};
}

}  // namespace

Bytes encode_page(const Page& page) {
  Bitmap ids{}, zeros{};
  for (uint32_t slot = 0; slot < kPageEntries; slot++) {
    uint64_t bit = uint64_t(1) << (slot % 64);
    if (page.entries[slot].state == EntryState::kId) ids[slot / 64] |= bit;
    if (page.entries[slot].state == EntryState::kZero) zeros[slot / 64] |= bit;
  }
  CHECK(count_all(ids) + count_all(zeros) > 0 && count_all(zeros) < kPageEntries);
  ByteWriter writer;
  writer.number(kPageMagic).number(kPageVersion).number(page.level).number(uint16_t(0));
  for (uint64_t word : ids) writer.number(word);
  for (uint64_t word : zeros) writer.number(word);
  for (const Entry& entry : page.entries) {
    if (entry.state == EntryState::kId) writer.raw(entry.id.bytes);
  }
  return writer.take();
}

Result<PageView> PageView::parse(std::span<const std::byte> bytes, uint8_t level) {
  if (bytes.size() < kPageHeaderBytes) return damaged("shorter than its header");
  if (load_le<uint32_t>(&bytes[0]) != kPageMagic) return damaged("not a page");
  if (uint8_t(bytes[4]) != kPageVersion) {
    return damaged(
        fmt::format("version {}, this program knows {}", uint8_t(bytes[4]), kPageVersion));
  }
  if (uint8_t(bytes[5]) != level) {
    return damaged(fmt::format("level {} where {} belongs", uint8_t(bytes[5]), level));
  }
  if (load_le<uint16_t>(&bytes[6]) != 0) return damaged("reserved bytes are set");
  Bitmap ids = load_bitmap(bytes, kIdBitmapAt);
  Bitmap zeros = load_bitmap(bytes, kZeroBitmapAt);
  for (size_t i = 0; i < kBitmapWords; i++) {
    if (ids[i] & zeros[i]) return damaged("an entry is both zero and an id");
  }
  uint32_t id_count = count_all(ids), zero_count = count_all(zeros);
  if (id_count + zero_count == 0 || zero_count == kPageEntries) {
    return damaged("not canonical: a uniform page belongs into its parent");
  }
  if (bytes.size() != kPageHeaderBytes + size_t(id_count) * 32) {
    return damaged(fmt::format("{} bytes for {} ids", bytes.size(), id_count));
  }
  return PageView(bytes);
}

Entry PageView::entry(uint32_t slot) const {
  CHECK(slot < kPageEntries);
  Bitmap ids = load_bitmap(bytes_, kIdBitmapAt);
  if (test(ids, slot)) {
    Entry entry{EntryState::kId, {}};
    size_t at = kPageHeaderBytes + size_t(count_below(ids, slot)) * 32;
    std::memcpy(entry.id.bytes.data(), &bytes_[at], 32);
    return entry;
  }
  return test(load_bitmap(bytes_, kZeroBitmapAt), slot) ? Entry::zero() : Entry::absent();
}

Page PageView::unpack() const {
  Page page;
  page.level = uint8_t(bytes_[5]);
  for (uint32_t slot = 0; slot < kPageEntries; slot++) page.entries[slot] = entry(slot);
  return page;
}

}  // namespace casdisk
