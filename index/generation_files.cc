// The files of a generation: making them, recovering them, removing them.
#include <fmt/format.h>

#include <charconv>

#include "index/generation.h"
#include "index/tree.h"

namespace casdisk {
namespace {

// A journal is written anew when it has grown past this and past four times its last whole form.
constexpr uint64_t kRewriteJournalBytes = uint64_t(8) << 20;

}  // namespace

std::string Generation::file_name(uint64_t number, std::string_view suffix) {
  return fmt::format("{:08x}.{}", number, suffix);
}

Generation::Generation(const GenerationPlace& place, uint64_t number, uint64_t size_bytes)
    : place_(place),
      number_(number),
      size_bytes_(size_bytes),
      chunk_count_(chunks_for(size_bytes)) {}

Result<MountProof> Generation::mount_proof() const {
  TRY_ASSIGN(uint64_t mount_id, place_.directory->mount_id());
  return MountProof{place_.file_system->boot_id(), mount_id};
}

JournalHeader Generation::new_journal_header() const {
  return JournalHeader{place_.random(), number_, chunk_count_};
}

uint64_t Generation::overlay_bytes(uint64_t size_bytes) {
  return (size_bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

Result<void> Generation::create_overlay() {
  TRY_ASSIGN(overlay_, place_.directory->open(file_name(number_, "overlay"), OpenMode::kCreateAny));
  TRY(overlay_->resize(0));
  TRY(overlay_->resize(overlay_bytes(size_bytes_)));
  return overlay_->sync();
}

void Generation::start_write_behind() {
  if (place_.write_behind == nullptr) return;
  backlog_ =
      std::make_unique<WriteBehind::Backlog>(*place_.write_behind, *overlay_, [this](Error error) {
        flush_group_.fail(poison(std::move(error)));
        std::lock_guard lock(flush_mutex_);  // a flush under way may record newer bytes as flushed
        put_carried_back();
      });
}

// Its size was synced before a head named it: another one means that something else changed it.
Result<void> Generation::open_overlay() {
  TRY_ASSIGN(overlay_, place_.directory->open(file_name(number_, "overlay"), OpenMode::kWrite));
  TRY_ASSIGN(uint64_t present, overlay_->size());
  if (present == overlay_bytes(size_bytes_)) return {};
  return Error{Fault::kDamaged, 0,
               fmt::format("{} has {} bytes and should have {}: what was written there is lost; "
                           "`casdisk rollback` brings back a checkpoint",
                           overlay_->path(), present, overlay_bytes(size_bytes_))};
}

// REQUIRES: the overlay is synced, with all that `runs` call data.
Result<void> Generation::replace_journal(std::span<const WordRun> runs) {
  TRY_ASSIGN(journal_, MapJournal::replace(*place_.directory, file_name(number_, "journal"),
                                           new_journal_header(), runs));
  rewrite_at_bytes_ = std::max(kRewriteJournalBytes, 4 * journal_->size_bytes());
  carried_bytes_ = 0;
  return {};
}

Result<std::shared_ptr<Generation>> Generation::create(const GenerationPlace& place,
                                                       uint64_t number, uint64_t size_bytes) {
  std::shared_ptr<Generation> made(new Generation(place, number, size_bytes));
  TRY(with_reserve(place.reserve, [&] { return made->create_files(); }));
  made->start_write_behind();
  return made;
}

Result<void> Generation::create_files() {
  TRY(create_overlay());
  TRY_ASSIGN(map_,
             LiveMap::create(*place_.directory, file_name(number_, "map"), number_, chunk_count_));
  TRY_ASSIGN(MountProof proof, mount_proof());
  map_->validate(proof);
  return replace_journal({});  // syncs the directory last
}

Result<std::shared_ptr<Generation>> Generation::recover(const GenerationPlace& place,
                                                        uint64_t number, uint64_t size_bytes,
                                                        bool accept_poison) {
  std::shared_ptr<Generation> found(new Generation(place, number, size_bytes));
  TRY(found->open_overlay());
  TRY_ASSIGN(MountProof proof, found->mount_proof());
  TRY_ASSIGN(found->map_, LiveMap::open(*place.directory, file_name(number, "map"), number,
                                        found->chunk_count_, proof));
  if (found->map_ && found->map_->poisoned()) {
    if (!accept_poison) return found->poisoned_before();
    // What the failed sync dropped reads as whatever the device has there, a hole's zeros as well.
    // Accepting it is what a power cut would have been: what was flushed counts.
    found->map_.reset();
  }
  if (!found->map_) {
    auto recovered =
        with_reserve(place.reserve, [&] { return found->recover_from_journal(proof); });
    if (!recovered.ok()) return found->not_recovered(std::move(recovered.error()));
  } else {
    // The process ended, the machine did not: map and overlay are as they were. What the journal
    // lacks is unknown, so the next flush writes a whole new one, after syncing the overlay.
    found->overlay_dirty_.store(true);
  }
  found->start_write_behind();
  return found;
}

Error Generation::not_recovered(Error error) const {
  if (error.fault == Fault::kNoSpace) {
    error.context += fmt::format(
        "; what was flushed is whole in {}. Free up to {} MiB of the file system and open the disk "
        "again",
        file_name(number_, "journal"), (kMaxCarriedBytes + kRewriteJournalBytes) >> 20);
  }
  return error;
}

Error Generation::poisoned_before() const {
  return Error{Fault::kPoisoned, 0,
               fmt::format("{}: an earlier sync failed, so writes since the last flush may be "
                           "lost. Look at the device, then see `casdisk accept --help`",
                           overlay_->path())};
}

// Only what is in the journal is known to be whole. Blocks that it does not name count as clean;
// those that it carries may be missing in the overlay, or be newer there than what was flushed.
Result<void> Generation::recover_from_journal(const MountProof& proof) {
  TRY_ASSIGN(map_,
             LiveMap::create(*place_.directory, file_name(number_, "map"), number_, chunk_count_));
  bool has_redone = false;
  auto apply = [&](const WordRun& run) -> Result<void> {
    TRY(map_->reserve(run.first, run.count));
    for (uint32_t i = 0; i < run.count; i++) map_->set(run.first + i, run.word);
    return {};
  };
  auto redo = [&](const RedoBlock& block) -> Result<void> {
    has_redone = true;
    return redo_block(block);
  };
  TRY(MapJournal::replay(*place_.directory, file_name(number_, "journal"), number_, chunk_count_,
                         {apply, redo}));
  // The journal that carries the blocks goes only when the overlay has them.
  if (has_redone) TRY(overlay_->sync());
  // A new log id: records that were cut off can never become part of this journal again.
  TRY(replace_journal(all_runs()));
  map_->validate(proof);
  return {};
}

// The device did not take pages of the overlay, and they may be gone. What was flushed of them is
// in the journal still, and is put back for those who read. Should this fail too: accepting the
// disk redoes it.
void Generation::put_carried_back() {
  auto redo = [this](const RedoBlock& block) { return redo_block(block); };
  (void)MapJournal::replay(*place_.directory, file_name(number_, "journal"), number_, chunk_count_,
                           {{}, redo})
      .ok();
}

Result<void> Generation::redo_block(const RedoBlock& redo) {
  const uint64_t offset = redo.block * kBlockBytes;
  if (offset < overlay_bytes(size_bytes_)) return overlay_->write(offset, redo.bytes);
  return Error{Fault::kDamaged, 0,
               fmt::format("{}: block {} lies beyond the overlay's {} bytes",
                           file_name(number_, "journal"), redo.block, overlay_bytes(size_bytes_))};
}

Result<void> Generation::remove(Directory& directory, uint64_t number) {
  for (std::string_view suffix : {"overlay", "map", "journal", "journal.new"}) {
    auto removed = directory.remove(file_name(number, suffix));
    if (!removed.ok() && removed.error().fault != Fault::kNotFound) return removed;
  }
  return {};
}

std::optional<uint64_t> Generation::number_of(const std::string& name) {
  size_t dot = name.find('.');
  if (dot == std::string::npos) return std::nullopt;
  uint64_t number = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + dot, number, 16);
  if (error != std::errc() || end != name.data() + dot) return std::nullopt;
  return number;
}

}  // namespace casdisk
