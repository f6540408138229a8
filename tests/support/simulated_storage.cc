#include "tests/support/simulated_storage.h"

#include <algorithm>
#include <cstring>

#include "cas/os/result.h"

namespace casdisk {
namespace {

constexpr uint64_t kSectorBytes = 512;
// Contents of a page that are remembered between the synced and the present one.
constexpr size_t kMaxContents = 6;

uint64_t pages_for(uint64_t bytes) {
  return (bytes + kSimulatedPageBytes - 1) / kSimulatedPageBytes;
}

}  // namespace

uint64_t SimulatedBytes::allocated_bytes() const {
  return uint64_t(std::ranges::count(allocated_, true)) * kSimulatedPageBytes;
}

uint64_t SimulatedBytes::missing_pages(uint64_t offset, uint64_t length) const {
  uint64_t missing = 0;
  for (uint64_t page = offset / kSimulatedPageBytes; page < pages_for(offset + length); page++) {
    missing += is_allocated(page) ? 0 : 1;
  }
  return missing;
}

SimulatedBytes::Page SimulatedBytes::cached_page(uint64_t page) const {
  if (!is_allocated(page)) return std::nullopt;
  const uint64_t begin = page * kSimulatedPageBytes;
  Bytes content(kSimulatedPageBytes);
  std::memcpy(content.data(), &cache_[begin],
              std::min<uint64_t>(kSimulatedPageBytes, cache_.size() - begin));
  return content;
}

SimulatedBytes::Page SimulatedBytes::device_page(uint64_t page) const {
  auto found = device_.find(page);
  return found == device_.end() ? Page() : found->second;
}

void SimulatedBytes::set_cached(uint64_t page, const Page& content) {
  const uint64_t begin = page * kSimulatedPageBytes;
  if (begin >= cache_.size()) return;
  const uint64_t length = std::min<uint64_t>(kSimulatedPageBytes, cache_.size() - begin);
  if (content) {
    std::memcpy(&cache_[begin], content->data(), length);
  } else {
    std::memset(&cache_[begin], 0, length);
  }
  allocated_[page] = content.has_value();
}

void SimulatedBytes::set_device(uint64_t page, const Page& content) {
  if (content) {
    device_[page] = content;
  } else {
    device_.erase(page);
  }
}

// What the page holds now is one of its contents, unless the device has that.
void SimulatedBytes::before_change(uint64_t page, bool is_whole) {
  auto [found, is_first] = unsynced_.try_emplace(page);
  History& history = found->second;
  history.in_parts |= !is_whole;
  if (is_first) return;
  if (history.contents.size() == kMaxContents) history.contents.erase(history.contents.begin());
  history.contents.push_back(cached_page(page));
}

void SimulatedBytes::change_size(uint64_t size_bytes) {
  if (size_bytes == cache_.size()) return;
  sizes_.push_back(cache_.size());
  cache_.resize(size_bytes);
  allocated_.resize(pages_for(size_bytes));
}

void SimulatedBytes::write(uint64_t offset, std::span<const std::byte> from) {
  if (from.empty()) return;
  const uint64_t end = offset + from.size();
  if (end > cache_.size()) change_size(end);
  for (uint64_t page = offset / kSimulatedPageBytes; page < pages_for(end); page++) {
    const uint64_t begin = page * kSimulatedPageBytes;
    before_change(page, offset <= begin && begin + kSimulatedPageBytes <= end);
    allocated_[page] = true;
  }
  std::memcpy(&cache_[offset], from.data(), from.size());
}

void SimulatedBytes::resize(uint64_t size_bytes) {
  if (size_bytes < cache_.size()) {
    for (uint64_t page = size_bytes / kSimulatedPageBytes; page < page_count(); page++) {
      const bool is_whole = page * kSimulatedPageBytes >= size_bytes;
      if (!is_allocated(page)) continue;
      before_change(page, is_whole);
      if (is_whole) set_cached(page, std::nullopt);
    }
  }
  change_size(size_bytes);
}

void SimulatedBytes::punch(uint64_t offset, uint64_t length) {
  const uint64_t end = std::min<uint64_t>(offset + length, cache_.size());
  for (uint64_t at = offset; at < end;) {
    const uint64_t page = at / kSimulatedPageBytes;
    const uint64_t until = std::min(end, (page + 1) * kSimulatedPageBytes);
    const bool is_whole = at % kSimulatedPageBytes == 0 &&
                          (until % kSimulatedPageBytes == 0 || until == cache_.size());
    if (is_allocated(page)) {
      before_change(page, is_whole);
      std::memset(&cache_[at], 0, until - at);
      if (is_whole) allocated_[page] = false;
    }
    at = until;
  }
}

void SimulatedBytes::allocate(uint64_t offset, uint64_t length) {
  if (length == 0) return;
  if (offset + length > cache_.size()) change_size(offset + length);
  for (uint64_t page = offset / kSimulatedPageBytes; page < pages_for(offset + length); page++) {
    if (is_allocated(page)) continue;
    before_change(page, true);
    allocated_[page] = true;
  }
}

// Nobody says when a mapping is stored to.
void SimulatedBytes::find_mapped_changes() {
  if (!is_mapped_) return;
  for (uint64_t page = 0; page < page_count(); page++) {
    if (unsynced_.contains(page) || cached_page(page) == device_page(page)) continue;
    unsynced_[page].in_parts = true;
  }
}

void SimulatedBytes::sync() {
  find_mapped_changes();
  for (const auto& [page, history] : unsynced_) set_device(page, cached_page(page));
  unsynced_.clear();
  sizes_.clear();
  device_size_ = cache_.size();
}

void SimulatedBytes::fail_sync(Dice& dice) {
  find_mapped_changes();
  for (const auto& [page, history] : unsynced_) {
    switch (dice() % 3) {
      case 0:
        set_device(page, cached_page(page));
        break;
      case 1:  // nobody writes the page any more
        break;
      default:  // and it had to go from memory
        set_cached(page, device_page(page));
        break;
    }
  }
  unsynced_.clear();
  if (device_size_ < cache_.size()) device_size_ = cache_.size();  // metadata fares better
}

SimulatedBytes::Page SimulatedBytes::after_cut(uint64_t page, const History& history,
                                               Dice& dice) const {
  std::vector<Page> contents = {device_page(page), cached_page(page)};
  contents.insert(contents.end(), history.contents.begin(), history.contents.end());
  const bool is_new = !contents.front() && page * kSimulatedPageBytes >= device_size_;
  const auto draw = [&] { return contents[dice() % contents.size()]; };
  const bool is_mixed = (history.in_parts || is_new) && one_of(dice, 1, 2);
  if (!is_mixed) return draw();
  Bytes mixed(kSimulatedPageBytes);
  for (uint64_t at = 0; at < kSimulatedPageBytes; at += kSectorBytes) {
    const bool is_junk = is_new && one_of(dice, 1, 4);
    const Page source = draw();
    for (uint64_t i = at; i < at + kSectorBytes; i++) {
      if (is_junk) {
        mixed[i] = std::byte(uint8_t(dice()));
      } else if (source) {
        mixed[i] = (*source)[i];
      }
    }
  }
  return mixed;
}

void SimulatedBytes::cut_power(Dice& dice) {
  find_mapped_changes();
  for (const auto& [page, history] : unsynced_) set_device(page, after_cut(page, history, dice));
  sizes_.push_back(device_size_);
  sizes_.push_back(cache_.size());
  device_size_ = sizes_[dice() % sizes_.size()];
  unsynced_.clear();
  sizes_.clear();
  is_mapped_ = false;
  cache_.assign(device_size_, std::byte(0));
  allocated_.assign(pages_for(device_size_), false);
  std::erase_if(device_, [&](const auto& entry) { return entry.first >= page_count(); });
  for (const auto& [page, content] : device_) set_cached(page, content);
  // What lies beyond the end is not seen if the file grows again.
  if (device_size_ % kSimulatedPageBytes != 0) {
    set_device(page_count() - 1, cached_page(page_count() - 1));
  }
}

InodePointer SimulatedNames::find(const std::string& name) const {
  auto found = cache_.find(name);
  return found == cache_.end() ? nullptr : found->second;
}

void SimulatedNames::apply(const Change& change, Entries& entries) {
  if (!change.from.empty()) entries.erase(change.from);
  if (!change.to.empty()) entries[change.to] = change.inode;
}

void SimulatedNames::set(const std::string& name, InodePointer inode) {
  Change change;
  (inode ? change.to : change.from) = name;
  change.inode = std::move(inode);
  apply(change, cache_);
  unsynced_.push_back(std::move(change));
}

void SimulatedNames::rename(const std::string& from, const std::string& to) {
  unsynced_.push_back({from, to, find(from)});
  apply(unsynced_.back(), cache_);
}

void SimulatedNames::sync() {
  for (const Change& change : unsynced_) apply(change, device_);
  unsynced_.clear();
}

void SimulatedNames::fail_sync(Dice& dice) {
  for (const Change& change : unsynced_) {
    if (one_of(dice, 1, 2)) apply(change, device_);
  }
  unsynced_.clear();
}

void SimulatedNames::cut_power(Dice& dice) {
  fail_sync(dice);
  cache_ = device_;
}

void cut_power(const InodePointer& root, Dice& dice) {
  root->bytes.cut_power(dice);
  root->names.cut_power(dice);
  for (const auto& [name, inode] : root->names.entries()) cut_power(inode, dice);
}

void sync_tree(const InodePointer& root) {
  root->bytes.sync();
  root->names.sync();
  for (const auto& [name, inode] : root->names.entries()) sync_tree(inode);
}

InodePointer copy_tree(const InodePointer& root) {
  auto copy = std::make_shared<SimulatedInode>(*root);
  for (auto& [name, inode] : copy->names.device_entries()) inode = copy_tree(inode);
  Dice unused;
  copy->names.cut_power(unused);
  return copy;
}

}  // namespace casdisk
