// Page: a node of an index tree, as bytes and as entries.
//
// A page has 256 entries. On level 0 (a leaf) each stands for one chunk, above for a whole page one
// level down. An entry is absent (ask the fallback, else zeros), zero, or the id of a chunk or
// page. The encoding is canonical: one content has one encoding, so equal ids mean equal trees.
// docs/FORMAT.md has the byte table and an example that tests/unit/page_test.cc holds us to.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "cas/chunk_id.h"
#include "cas/os/bytes.h"
#include "cas/os/result.h"

namespace casdisk {

enum class EntryState : uint8_t { kAbsent = 0, kZero = 1, kId = 2 };

struct Entry {
  EntryState state = EntryState::kAbsent;
  ChunkId id;  // all zero unless state is kId

  static Entry absent() { return {}; }
  static Entry zero() { return {EntryState::kZero, {}}; }
  static Entry of(const ChunkId& id) { return {EntryState::kId, id}; }
  bool operator==(const Entry&) const = default;
};

inline constexpr uint32_t kPageEntries = 256;
inline constexpr uint32_t kPageHeaderBytes = 72;
inline constexpr uint32_t kMaxPageBytes = kPageHeaderBytes + kPageEntries * 32;
inline constexpr uint32_t kMaxLevels = 6;  // 256^6 chunks: more than any disk may have

struct Page {
  uint8_t level = 0;
  std::array<Entry, kPageEntries> entries{};
};

// REQUIRES: not all entries absent, not all zero (such a page collapses into its parent's entry).
Bytes encode_page(const Page& page);

// The entry of one slot, read straight from the encoded bytes of a page: for a lookup, whose bytes
// were checked against their hash. Checks what this entry rests on and no more: the header, that
// the slot is not both zero and an id, that the id lies inside `bytes`. Where that fails it is
// kDamaged with the words of PageView::parse. What parse accepts this reads as PageView::entry
// does; a page that is wrong elsewhere may have entries that can be read.
// REQUIRES: slot < kPageEntries.
Result<Entry> entry_of_page(std::span<const std::byte> bytes, uint8_t level, uint32_t slot);

// PageView: entries of a page that is checked as a whole, without unpacking it: for whoever judges,
// copies or covers pages.
class PageView {
 public:
  // kDamaged unless `bytes` is the canonical encoding of a page of that level. The view points into
  // `bytes`.
  static Result<PageView> parse(std::span<const std::byte> bytes, uint8_t level);

  Entry entry(uint32_t slot) const;
  Page unpack() const;

 private:
  explicit PageView(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

}  // namespace casdisk
