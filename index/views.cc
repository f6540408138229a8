#include "index/views.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>

namespace casdisk {
namespace {

constexpr std::string_view kViewsDirectory = "views";
constexpr std::string_view kLockSuffix = ".lock";
constexpr std::string_view kEnd = " end\n";  // a pin without it is still being written
constexpr size_t kMaxPinBytes = 256;
constexpr int kMaxLockTries = 1000;

std::string pin_text(const Tree& tree) {
  return fmt::format("tree {} {}{}", to_hex(tree.root.id), tree.chunk_count, kEnd);
}

std::optional<Tree> parse_pin(std::string_view text) {
  constexpr std::string_view kBegin = "tree ";
  constexpr size_t kIdDigits = 64;
  if (!text.starts_with(kBegin) || !text.ends_with(kEnd)) return std::nullopt;
  text = text.substr(kBegin.size(), text.size() - kBegin.size() - kEnd.size());
  if (text.size() < kIdDigits + 2 || text[kIdDigits] != ' ') return std::nullopt;
  auto id = chunk_id_from_hex(text.substr(0, kIdDigits));
  uint64_t chunk_count = 0;
  const char* last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data() + kIdDigits + 1, last, chunk_count);
  if (!id || error != std::errc() || end != last) return std::nullopt;
  return Tree{Entry::of(*id), chunk_count};
}

}  // namespace

Result<std::unique_ptr<Views>> Views::open(Machine& machine, Directory& root, SpaceReserve* reserve,
                                           const std::string& process) {
  TRY(with_reserve(reserve, [&] { return root.make_directory(kViewsDirectory); }));
  TRY_ASSIGN(auto files, root.open_directory(kViewsDirectory));
  return std::unique_ptr<Views>(new Views(machine, std::move(files), reserve, process));
}

Views::~Views() {
  if (lock_) (void)files_->remove(process_ + std::string(kLockSuffix)).ok();
}

// REQUIRES: mutex_ is held.
Result<void> Views::lock_process() {
  if (lock_) return {};
  const std::string path = fmt::format("{}/{}{}", files_->path(), process_, kLockSuffix);
  for (int i = 0;; i++) {
    auto taken = with_reserve(reserve_, [&] { return machine_.lock(path, "the view", ""); });
    if (taken.ok()) {
      lock_ = std::move(taken).value();
      return {};
    }
    // A collection that came upon the file before it was locked lets go of it at once.
    if (taken.error().fault != Fault::kBusy || i == kMaxLockTries) return std::move(taken.error());
    machine_.sleep(std::chrono::milliseconds(1));
  }
}

Result<Views::Pin> Views::pin(const Tree& tree) {
  if (tree.root.state != EntryState::kId) return Pin();
  std::string name;
  {
    std::lock_guard lock(mutex_);
    TRY(lock_process());
    name = fmt::format("{}.{}", process_, ++last_number_);
  }
  auto written = with_reserve(reserve_, [&] { return write(name, pin_text(tree)); });
  if (!written.ok()) {
    (void)files_->remove(name).ok();
    return std::move(written.error());
  }
  return Pin(static_cast<const void*>(this), [this, name](const void*) {
    (void)files_->remove(name).ok();  // one that stays costs space, until this process ends
  });
}

Result<void> Views::write(const std::string& name, const std::string& text) {
  TRY_ASSIGN(auto file, files_->open(name, OpenMode::kCreateAny));
  return file->write(0, as_bytes(text));
}

bool Views::lives(const std::string& process) {
  const std::string name = process + std::string(kLockSuffix);
  auto lock = machine_.lock(fmt::format("{}/{}", files_->path(), name), "the view", "");
  if (!lock.ok()) return true;
  (void)files_->remove(name).ok();
  return false;
}

Result<std::vector<Tree>> Views::pinned() {
  TRY_ASSIGN(auto names, files_->list());
  std::map<std::string, bool> living;
  std::vector<Tree> trees;
  for (const std::string& name : names) {
    const std::string process = name.substr(0, name.find('.'));
    if (!living.contains(process)) living[process] = lives(process);
    if (name.ends_with(kLockSuffix)) continue;
    if (!living[process]) {
      (void)files_->remove(name).ok();
      continue;
    }
    auto file = files_->open(name, OpenMode::kRead);
    if (!file.ok() && file.error().fault == Fault::kNotFound) continue;  // it went meanwhile
    if (!file.ok()) return std::move(file.error());
    TRY_ASSIGN(uint64_t size_bytes, file.value()->size());
    std::string text(std::min<uint64_t>(size_bytes, kMaxPinBytes), 0);
    TRY(file.value()->read(0, std::as_writable_bytes(std::span(text))));
    if (auto tree = parse_pin(text)) trees.push_back(*tree);
  }
  return trees;
}

Result<void> TreePin::hold() {
  std::lock_guard lock(mutex_);
  if (pin_) return {};
  TRY_ASSIGN(pin_, views_.pin(tree_));
  return {};
}

}  // namespace casdisk
