#include "index/page.h"

#include <fmt/format.h>

namespace casdisk {
namespace {

constexpr uint32_t kPageMagic = 0x47504443;  // "CDPG"
constexpr uint8_t kPageVersion = 1;
constexpr size_t kIdBitmapAt = 8;
constexpr size_t kZeroBitmapAt = 40;
constexpr size_t kBitmapWords = kPageEntries / 64;

using Bitmap = std::array<uint64_t, kBitmapWords>;

uint64_t bitmap_word(std::span<const std::byte> bytes, size_t bitmap_at, uint32_t word) {
  return load_le<uint64_t>(&bytes[bitmap_at + 8 * size_t(word)]);
}

// Each byte of the result counts the bits of that byte.
uint64_t bits_in_bytes(uint64_t word) {
  word -= (word >> 1) & 0x5555555555555555;
  word = (word & 0x3333333333333333) + ((word >> 2) & 0x3333333333333333);
  return (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0F;
}

// Bits below `slot`, which may be kPageEntries, of the bitmap that begins at `bitmap_at`. By hand:
// x86-64 without extensions has no instruction for it, and std::popcount then calls a function for
// each word that looks up byte after byte.
uint32_t count_below(std::span<const std::byte> bytes, size_t bitmap_at, uint32_t slot) {
  uint64_t sums = 0;  // each byte is at most 8 * kBitmapWords
  for (uint32_t i = 0; i < slot / 64; i++) sums += bits_in_bytes(bitmap_word(bytes, bitmap_at, i));
  if (slot % 64 != 0) {
    const uint64_t below = (uint64_t(1) << (slot % 64)) - 1;
    sums += bits_in_bytes(bitmap_word(bytes, bitmap_at, slot / 64) & below);
  }
  // Pairs of bytes first: the whole sum, up to 256, does not fit into a byte.
  const uint64_t pairs = (sums & 0x00FF00FF00FF00FF) + ((sums >> 8) & 0x00FF00FF00FF00FF);
  return uint32_t((pairs * 0x0001000100010001) >> 48);
}

bool test(std::span<const std::byte> bytes, size_t bitmap_at, uint32_t slot) {
  return (uint8_t(bytes[bitmap_at + slot / 8]) >> (slot % 8)) & 1;
}

// The header's first eight bytes in one number.
constexpr uint64_t header_of(uint8_t level) {
  return kPageMagic | uint64_t(kPageVersion) << 32 | uint64_t(level) << 40;
}

Entry id_at(std::span<const std::byte> bytes, size_t at) {
  Entry entry{EntryState::kId, {}};
  std::memcpy(entry.id.bytes.data(), &bytes[at], sizeof(entry.id.bytes));
  return entry;
}

size_t id_offset(std::span<const std::byte> bytes, uint32_t slot) {
  return kPageHeaderBytes + size_t(count_below(bytes, kIdBitmapAt, slot)) * 32;
}

Error damaged(std::string what) {
  return Error{Fault::kDamaged, 0, "index page: " + std::move(what)};
}

}  // namespace

Bytes encode_page(const Page& page) {
  Bitmap ids{}, zeros{};
  uint32_t id_count = 0, zero_count = 0;
  for (uint32_t slot = 0; slot < kPageEntries; slot++) {
    uint64_t bit = uint64_t(1) << (slot % 64);
    if (page.entries[slot].state == EntryState::kId) {
      ids[slot / 64] |= bit;
      id_count++;
    } else if (page.entries[slot].state == EntryState::kZero) {
      zeros[slot / 64] |= bit;
      zero_count++;
    }
  }
  CHECK(id_count + zero_count > 0 && zero_count < kPageEntries);
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
  for (uint32_t i = 0; i < kBitmapWords; i++) {
    if (bitmap_word(bytes, kIdBitmapAt, i) & bitmap_word(bytes, kZeroBitmapAt, i)) {
      return damaged("an entry is both zero and an id");
    }
  }
  const uint32_t id_count = count_below(bytes, kIdBitmapAt, kPageEntries);
  const uint32_t zero_count = count_below(bytes, kZeroBitmapAt, kPageEntries);
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
  if (test(bytes_, kIdBitmapAt, slot)) return id_at(bytes_, id_offset(bytes_, slot));
  return test(bytes_, kZeroBitmapAt, slot) ? Entry::zero() : Entry::absent();
}

Page PageView::unpack() const {
  Page page;
  page.level = uint8_t(bytes_[5]);
  size_t at = kPageHeaderBytes;
  for (uint32_t slot = 0; slot < kPageEntries; slot++) {
    if (test(bytes_, kIdBitmapAt, slot)) {
      page.entries[slot] = id_at(bytes_, at);
      at += 32;
    } else if (test(bytes_, kZeroBitmapAt, slot)) {
      page.entries[slot] = Entry::zero();
    }
  }
  return page;
}

Result<Entry> entry_of_page(std::span<const std::byte> bytes, uint8_t level, uint32_t slot) {
  CHECK(slot < kPageEntries);
  if (bytes.size() >= kPageHeaderBytes && load_le<uint64_t>(&bytes[0]) == header_of(level)) {
    const bool is_id = test(bytes, kIdBitmapAt, slot), is_zero = test(bytes, kZeroBitmapAt, slot);
    if (!is_id) return is_zero ? Entry::zero() : Entry::absent();
    const size_t at = id_offset(bytes, slot);
    if (!is_zero && at + 32 <= bytes.size()) return id_at(bytes, at);
  }
  auto view = PageView::parse(bytes, level);
  CHECK(!view.ok());
  return std::move(view.error());
}

}  // namespace casdisk
