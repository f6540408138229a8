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
    }
  }
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
