// Index pages: any bytes are a page in its one encoding, or damage.
#include "index/page.h"
#include "tests/fuzz/fuzz_target.h"

namespace casdisk {
namespace {

// The reader of one slot beside the one of whole pages: what the latter accepts both read alike;
// what it refuses is refused in its words, or else is wrong where the slot does not rest on it.
void check_slots(std::span<const std::byte> bytes, uint8_t level) {
  auto view = PageView::parse(bytes, level);
  for (uint32_t slot = 0; slot < kPageEntries; slot++) {
    auto found = entry_of_page(bytes, level, slot);
    if (view.ok()) {
      CHECK(found.ok() && found.value() == view.value().entry(slot));
    } else if (!found.ok()) {
      CHECK(found.error().fault == Fault::kDamaged);
      CHECK(found.error().context == view.error().context);
    } else {
      CHECK(bytes.size() >= kPageHeaderBytes && uint8_t(bytes[5]) == level);
      CHECK(found.value().state == EntryState::kId || found.value().id == ChunkId{});
    }
  }
}

void check_page(std::span<const std::byte> bytes, uint8_t level) {
  check_canonical(
      bytes, size_t(64) << 10, [&](auto it) { return PageView::parse(it, level); },
      [](const PageView& view) { return encode_page(view.unpack()); });
  check_slots(bytes, level);
  check_slots(bytes, uint8_t(level + 1));
  auto view = PageView::parse(bytes, level);
  if (!view.ok()) return;
  CHECK(bytes.size() <= kMaxPageBytes);
  const Page page = view.value().unpack();
  CHECK(page.level == level);
  for (uint32_t slot = 0; slot < kPageEntries; slot++) {
    CHECK(view.value().entry(slot) == page.entries[slot]);
  }
  CHECK(!PageView::parse(bytes, uint8_t(level + 1)).ok());
}

}  // namespace
}  // namespace casdisk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  casdisk::check_page(std::as_bytes(std::span(data, size)), size > 5 ? data[5] : 0);
  return 0;
}
