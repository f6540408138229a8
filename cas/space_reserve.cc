#include "cas/space_reserve.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace casdisk {

namespace {

constexpr std::string_view kName = "reserve";
constexpr uint64_t kHeaderBytes = 4096;
// What a reserve may take of a small file system.
constexpr uint64_t kShareOfFree = 8;
// Less is worth no file.
constexpr uint64_t kMinReserveBytes = 256 * 1024;

std::atomic_ref<uint32_t> word_of(Mapping& mapping) {
  return std::atomic_ref(*reinterpret_cast<uint32_t*>(mapping.bytes().data()));
}

bool is_out_of_space(const Error& error) { return error.fault == Fault::kNoSpace; }

}  // namespace

// The file's size says how large the reserve is meant to be, whatever of it is there.
Result<std::unique_ptr<SpaceReserve>> SpaceReserve::open(Directory& directory,
                                                         uint64_t wanted_bytes) {
  TRY_ASSIGN(auto file, directory.open(kName, OpenMode::kCreateAny));
  TRY_ASSIGN(uint64_t size_bytes, file->size());
  TRY_ASSIGN(uint64_t free_bytes, directory.free_bytes());
  const bool is_new = size_bytes < kHeaderBytes + kMinReserveBytes;
  uint64_t reserve_bytes = is_new ? 0 : size_bytes - kHeaderBytes;
  if (is_new) {
    const uint64_t affordable = std::min(wanted_bytes, free_bytes / kShareOfFree);
    if (affordable >= kMinReserveBytes) reserve_bytes = affordable / kHeaderBytes * kHeaderBytes;
  }
  auto usable = reserve_bytes > 0 ? file->allocate(0, kHeaderBytes) : Result<void>();
  const bool unusable = !usable.ok() && (is_out_of_space(usable.error()) ||
                                         usable.error().fault == Fault::kUnsupported);
  if (!usable.ok() && !unusable) return std::move(usable.error());
  std::unique_ptr<Mapping> mapping;
  if (reserve_bytes > 0 && !unusable) {
    if (is_new) TRY(file->resize(kHeaderBytes + reserve_bytes));
    TRY_ASSIGN(mapping, directory.map(*file));
  }
  std::unique_ptr<SpaceReserve> reserve(
      new SpaceReserve(directory, std::move(file), std::move(mapping), reserve_bytes));
  if (!reserve->mapping_) return reserve;
  TRY_ASSIGN(uint64_t present, reserve->file_->allocated_bytes());
  if (present >= kHeaderBytes + reserve_bytes && !reserve->is_in_use()) return reserve;
  reserve->set_in_use(true);  // also after a machine went down in the middle of a change
  (void)reserve->check_room().ok();
  return reserve;
}

bool SpaceReserve::is_in_use() const {
  return mapping_ && word_of(*mapping_).load(std::memory_order_relaxed) != 0;
}

void SpaceReserve::set_in_use(bool in_use) { word_of(*mapping_).store(in_use ? 1 : 0); }

Result<void> SpaceReserve::check_room() {
  if (!is_in_use()) return {};
  TRY_ASSIGN(uint64_t free_bytes, directory_.free_bytes());
  if (free_bytes / 2 >= reserve_bytes_) make_whole();
  if (free_bytes >= reserve_bytes_) return {};
  return Error{Fault::kNoSpace, ENOSPC,
               fmt::format("{}: {} bytes are free, the last {} of which are kept for trims, rm and "
                           "the catalog",
                           directory_.path(), free_bytes, reserve_bytes_)};
}

// The word is cleared first and set last, and release() sets it on both sides of giving the space
// back: however the steps of two processes mix, a reserve that is not whole is in use.
void SpaceReserve::make_whole() {
  std::lock_guard lock(mutex_);
  if (!is_in_use()) return;  // another thread just did
  set_in_use(false);
  if (file_->allocate(kHeaderBytes, reserve_bytes_).ok()) return;
  (void)file_->punch(kHeaderBytes, reserve_bytes_).ok();
  set_in_use(true);
}

bool SpaceReserve::release() {
  if (!mapping_) return false;
  std::lock_guard lock(mutex_);
  set_in_use(true);
  const bool given_back = file_->punch(kHeaderBytes, reserve_bytes_).ok();
  set_in_use(true);
  return given_back;
}

}  // namespace casdisk
