#include "index/page.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/result_assertions.h"
#include "tests/support/sample_data.h"

namespace casdisk {
namespace {

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (std::byte byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", unsigned(byte));
    text += digits;
  }
  return text;
}

// The example of docs/FORMAT.md: a leaf whose entry 1 is zero and whose entry 9 is an id of all
// 0x5a.
Page example() {
  Page page;
  page.entries[1] = Entry::zero();
  page.entries[9] = Entry::of(made_up_id(0x5a));
  return page;
}

TEST(Page, GoldenBytes) {
  std::string ids = "0002" + std::string(60, '0'), zeros = "02" + std::string(62, '0');
  std::string id;
  for (int i = 0; i < 32; i++) id += "5a";
  EXPECT_EQ(hex(encode_page(example())),
            "43445047"
            "01000000" +
                ids + zeros + id);
}

TEST(Page, RandomPagesComeBack) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; round++) {
    Page page;
    page.level = uint8_t(random() % 3);
    for (Entry& entry : page.entries) {
      uint64_t choice = random() % 3;
      if (choice == 1) entry = Entry::zero();
      if (choice == 2) entry = Entry::of(made_up_id(uint8_t(random())));
    }
    Bytes bytes = encode_page(page);
    auto view = PageView::parse(bytes, page.level);
    ASSERT_OK(view);
    EXPECT_EQ(view.value().unpack().entries, page.entries);
    for (uint32_t slot = 0; slot < kPageEntries; slot++) {
      ASSERT_EQ(view.value().entry(slot), page.entries[slot]);
      ASSERT_EQ(entry_of_page(bytes, page.level, slot).value(), page.entries[slot]);
    }
  }
}

// All of one kind but a few: where the counts of ids come to their greatest.
TEST(Page, NearlyUniformPagesComeBack) {
  for (uint32_t other = 0; other < kPageEntries; other++) {
    Page page;
    for (uint32_t slot = 0; slot < kPageEntries; slot++) {
      page.entries[slot] = Entry::of(made_up_id(uint8_t(slot)));
    }
    Bytes full = encode_page(page);
    ASSERT_EQ(full.size(), kMaxPageBytes);
    ASSERT_EQ(entry_of_page(full, 0, other).value(), page.entries[other]);
    page.entries[other] = other % 2 ? Entry::zero() : Entry::absent();
    Bytes bytes = encode_page(page);
    auto view = PageView::parse(bytes, 0);
    ASSERT_OK(view);
    ASSERT_EQ(view.value().unpack().entries, page.entries);
    for (uint32_t slot = 0; slot < kPageEntries; slot++) {
      ASSERT_EQ(entry_of_page(bytes, 0, slot).value(), page.entries[slot]);
    }
  }
}

// What parse refuses and the slot rests on, entry_of_page refuses in the same words.
void expect_refused(std::span<const std::byte> bytes, uint8_t level, uint32_t slot) {
  auto found = entry_of_page(bytes, level, slot);
  auto view = PageView::parse(bytes, level);
  ASSERT_FAULT(view, Fault::kDamaged);
  ASSERT_FAULT(found, Fault::kDamaged);
  EXPECT_EQ(found.error().context, view.error().context);
}

TEST(PageSlot, AWrongHeaderIsDamageInEverySlot) {
  const Bytes good = encode_page(example());
  for (size_t bit = 0; bit < 64; bit++) {
    Bytes bad = good;
    bad[bit / 8] ^= std::byte(1 << (bit % 8));
    for (uint32_t slot = 0; slot < kPageEntries; slot++) expect_refused(bad, 0, slot);
  }
  for (uint32_t level = 1; level < 256; level++) expect_refused(good, uint8_t(level), 9);
  for (size_t length = 0; length < kPageHeaderBytes; length++) {
    const Bytes cut(good.begin(), good.begin() + ptrdiff_t(length));
    for (uint32_t slot = 0; slot < kPageEntries; slot++) expect_refused(cut, 0, slot);
  }
}

// Each length is an allocation of its own, so that AddressSanitizer sees a read beyond it.
TEST(PageSlot, AnIdThatIsCutOffIsDamage) {
  Page page;
  for (uint32_t slot : {0u, 63u, 64u, 130u, 255u}) page.entries[slot] = Entry::of(made_up_id(7));
  page.entries[131] = Entry::zero();
  const Bytes good = encode_page(page);
  for (size_t length = kPageHeaderBytes; length < good.size(); length++) {
    const Bytes cut(good.begin(), good.begin() + ptrdiff_t(length));
    const size_t whole_ids = (length - kPageHeaderBytes) / 32;
    size_t id = 0;
    for (uint32_t slot = 0; slot < kPageEntries; slot++) {
      if (page.entries[slot].state == EntryState::kId && id++ >= whole_ids) {
        expect_refused(cut, 0, slot);
      } else {
        ASSERT_EQ(entry_of_page(cut, 0, slot).value(), page.entries[slot]) << length << " " << slot;
      }
    }
  }
}

TEST(PageSlot, BothZeroAndAnIdIsDamage) {
  Bytes bad = encode_page(example());
  bad[40 + 1] |= std::byte(2);  // entry 9 is zero, too
  expect_refused(bad, 0, 9);
  EXPECT_EQ(entry_of_page(bad, 0, 1).value(), Entry::zero());
  EXPECT_EQ(entry_of_page(bad, 0, 8).value(), Entry::absent());
}

TEST(Page, EveryFlippedHeaderBitIsFoundOrMeansAnotherPage) {
  Bytes good = encode_page(example());
  for (size_t bit = 0; bit < kPageHeaderBytes * 8; bit++) {
    Bytes bad = good;
    bad[bit / 8] ^= std::byte(1 << (bit % 8));
    auto view = PageView::parse(bad, 0);
    if (!view.ok()) {
      EXPECT_FAULT(view, Fault::kDamaged);
    } else {
      EXPECT_NE(view.value().unpack().entries, example().entries);
    }
  }
}

TEST(Page, CutShortOrOfAnotherLevelIsDamaged) {
  Bytes good = encode_page(example());
  for (size_t length = 0; length < good.size(); length++) {
    EXPECT_FAULT(PageView::parse(std::span(good).first(length), 0), Fault::kDamaged);
  }
  good.push_back(std::byte(0));
  EXPECT_FAULT(PageView::parse(good, 0), Fault::kDamaged);
  EXPECT_FAULT(PageView::parse(encode_page(example()), 1), Fault::kDamaged);
}

}  // namespace
}  // namespace casdisk
