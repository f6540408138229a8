#include "cas/pack_writer.h"

#include <utility>

namespace casdisk {
namespace {

// Appended bytes that are written out at once, by who appended the last of them and while others go
// on: a sync then finds little, and guests' flushes do not queue behind gigabytes of a seal.
constexpr uint64_t kWriteOutBytes = uint64_t(8) << 20;

}  // namespace

PackWriter::~PackWriter() {
  for (const auto& pack : unsynced_) {
    if (pack->sync_end == 0) {
      (void)packs_.remove(pack_file_name(pack->id));
    } else {
      (void)pack->file->resize(pack->sync_end);
    }
  }
}

Result<PackLocation> PackWriter::append(std::span<const std::byte> record) {
  CHECK(!record.empty() && record.size() <= kMaxRecordBytes);
  TRY_ASSIGN(Appended appended, append_alone(record));
  // A failure poisons the file: its next sync tells.
  if (appended.due) (void)appended.due->file->write_out().ok();
  return appended.location;
}

Result<PackWriter::Appended> PackWriter::append_alone(std::span<const std::byte> record) {
  std::lock_guard lock(mutex_);
  if (current_ != nullptr && current_->end + record.size() > max_pack_bytes_) current_.reset();
  if (current_ == nullptr) {
    TRY_ASSIGN(current_, begin_pack());
    names_unsynced_ = true;
  }
  if (auto written = current_->file->write(current_->end, record); !written.ok()) {
    abandon_current();
    return std::move(written.error());
  }
  Appended appended{{current_->id, current_->end, uint32_t(record.size())}, nullptr};
  current_->end += record.size();
  if (!current_->unsynced) unsynced_.push_back(current_);
  current_->unsynced = true;
  if (current_->end - current_->write_out_end >= kWriteOutBytes) {
    current_->write_out_end = current_->end;
    appended.due = current_;
  }
  return appended;
}

Result<std::shared_ptr<PackWriter::Pack>> PackWriter::begin_pack() {
  auto pack = std::make_shared<Pack>();
  TRY_ASSIGN(pack->id, locations_.allocate_pack());
  const std::string name = pack_file_name(pack->id);
  TRY_ASSIGN(pack->file, packs_.open(name, OpenMode::kCreate));
  const Bytes header = encode_pack_header({pack->id, locations_.store_id()});
  if (auto written = pack->file->write(0, header); !written.ok()) {
    (void)packs_.remove(name);  // a file that nothing names; only its space is at stake
    return std::move(written.error());
  }
  pack->end = header.size();
  return pack;
}

// What a failed append left behind the last whole record is never referred to. A pack without any
// record is removed, so that a full file system does not fill with empty packs.
void PackWriter::abandon_current() {
  if (current_->end == kPackHeaderBytes) (void)packs_.remove(pack_file_name(current_->id));
  current_.reset();
}

uint64_t PackWriter::current_pack() const {
  std::lock_guard lock(mutex_);
  return current_ == nullptr ? 0 : current_->id;
}

void PackWriter::close(std::span<const uint64_t> packs) {
  std::lock_guard lock(mutex_);
  if (current_ == nullptr) return;
  if (std::ranges::find(packs, current_->id) != packs.end()) current_.reset();
}

Result<void> PackWriter::sync() {
  std::vector<std::shared_ptr<Pack>> packs;
  bool names_unsynced = false;
  {
    std::lock_guard lock(mutex_);
    packs = std::exchange(unsynced_, {});
    for (const auto& pack : packs) {
      pack->unsynced = false;
      pack->sync_end = pack->end;
    }
    names_unsynced = std::exchange(names_unsynced_, false);
  }
  auto synced = sync_packs(packs, names_unsynced);
  if (synced.ok()) return {};
  std::lock_guard lock(mutex_);
  for (const auto& pack : packs) pack->lost = true;
  if (current_ != nullptr && current_->lost) current_.reset();
  return synced;
}

// `lost` is written by sync() alone, of which there is one at a time.
Result<void> PackWriter::sync_packs(std::span<const std::shared_ptr<Pack>> packs,
                                    bool names_unsynced) {
  for (const auto& pack : packs) {
    if (pack->lost) {
      return Error{Fault::kPoisoned, 0, pack->file->path() + ": an earlier sync failed"};
    }
    TRY(pack->file->sync());
  }
  if (names_unsynced) TRY(packs_.sync());
  return {};
}

}  // namespace casdisk
