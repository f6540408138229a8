"""The mutations of scripts/check-mutations: one for each way to break an ordering MUST.

`rule` is its number in the table of docs/FORMAT.md, or the word of the design for what that table
takes for granted; "pool" is the head of cas/kv/hyperv_pool.h. `old` must be in the file once. `tests` is what must fail: the crash tests, unless
threads have to meet within one operation (13, 14, parts of 15 and 16), or something is at stake that no crash can
leave in these files.

Not here: rule 4, until there are remotes. That a verdict is written to the journal at once (8): the
same journal gives the same verdict again, and the first flush after a recovery writes a new one
anyway. That a collector deletes the locations of the dead before its files (5): the pack stays
condemned, so nobody takes what is left of it for a copy. That a disk grows before its tree is synced
(2): within these small disks' one leaf growing puts nothing.
"""

from typing import NamedTuple

CRASH = ("crash_tests",)
SESSIONS = ("unit_tests", "WriteSessionTest.*")
TOGETHER = ("crash_tests", "TwoWriters.*")
FLUSHES = ("unit_tests", "GenerationTest.*:PoisonTest.*")
LIVE = ("unit_tests", "LiveDiskTest.*:GroupCheckpointTest.*:GarbageCollectionTest.*")
POOLS = ("unit_tests", "HypervPoolCrash.*")
NAMES = ("unit_tests", "StoreFormat.*")


class Mutation(NamedTuple):
    name: str
    rule: str
    path: str
    old: str
    new: str
    tests: tuple = CRASH  # a test program, and which of its tests


MUTATIONS = [
    Mutation("packs-not-synced", "1", "cas/pack_writer.cc",
             "    TRY(pack->file->sync());\n", ""),
    Mutation("pack-names-not-synced", "1", "cas/pack_writer.cc",
             "  if (names_unsynced) TRY(packs_.sync());\n", "  (void)names_unsynced;\n"),
    Mutation("registered-before-synced", "1", "cas/local_store.cc",
             "  if (auto synced = writer_.sync(); !synced.ok()) {\n",
             "  TRY(locations_->enter(batch));\n"
             "  if (auto synced = writer_.sync(); !synced.ok()) {\n"),
    Mutation("lost-objects-trusted", "1", "cas/local_store.cc",
             "    pending_.lose_all();\n", ""),
    Mutation("seal-published-unregistered", "2", "index/disk_seal.cc",
             "  TRY(store_.chunks().sync());\n  TRY(publish_seal(generation, *tree));\n",
             "  TRY(publish_seal(generation, *tree));\n"),
    Mutation("table-published-unregistered", "2", "index/fallback.cc",
             "    TRY(chunks_.sync());\n", ""),
    Mutation("overlay-dropped-first", "3", "index/disk_seal.cc",
             "  TRY(publish_seal(generation, *tree));\n",
             "  TRY(Generation::remove(*directory_, generation->number()));\n"
             "  TRY(publish_seal(generation, *tree));\n"),
    Mutation("rollback-removes-files-first", "5", "index/lineage.cc",
             "  TRY(replace_head(store, checkpoint.disk, before.uid, roll_back));\n",
             "  TRY(store.remove_disk_directory(before.uid));\n"
             "  TRY(replace_head(store, checkpoint.disk, before.uid, roll_back));\n"),
    Mutation("live-rollback-removes-files-first", "5", "index/disk_change.cc",
             "  TRY(before->pin->hold());\n"
             "  TRY(update_head([&](CatalogWriter& writer, HeadRecord& head) -> Result<void> {\n"
             "    TRY(check_nothing_pending(head));\n",
             "  TRY(before->pin->hold());\n"
             "  retire(before->generations);\n"
             "  TRY(update_head([&](CatalogWriter& writer, HeadRecord& head) -> Result<void> {\n"
             "    TRY(check_nothing_pending(head));\n"),
    Mutation("disk-directory-not-synced", "6", "index/store.cc",
             "    if (auto synced = disks->sync(); !synced.ok()) {\n",
             "    if (Result<void> synced; !synced.ok()) {\n"),
    Mutation("overlay-size-not-synced", "6", "index/generation_files.cc",
             "  return overlay_->sync();\n", "  return {};\n"),
    Mutation("generation-names-not-synced", "6", "index/map_journal.cc",
             "  TRY(directory.sync());\n", ""),
    Mutation("journal-replaced-unsynced", "7", "index/map_journal.cc",
             "  TRY(journal->file_->sync());\n", ""),
    Mutation("verdict-before-it-is-made", "8", "index/generation_files.cc",
             "  TRY(MapJournal::replay(",
             "  map_->validate(proof);\n  TRY(MapJournal::replay("),
    Mutation("overlay-not-flushed", "9", "index/generation.cc",
             "  if (auto synced = overlay_->sync(); !synced.ok()) {\n",
             "  if (Result<void> synced; !synced.ok()) {\n"),
    Mutation("carried-pages-not-put-back", "19", "index/generation.cc",
             "    put_carried_back();\n", ""),
    Mutation("carried-pages-not-put-back-later", "20", "index/generation_files.cc",
             "flushed\n        put_carried_back();\n", "flushed\n", FLUSHES),
    Mutation("carried-pages-put-back-beside-a-flush", "20", "index/generation_files.cc",
             "        std::lock_guard lock(flush_mutex_);  // a flush under way may record newer bytes as flushed\n", "",
             FLUSHES),
    Mutation("carried-bytes-not-counted", "18", "index/generation.cc",
             "  carried_bytes_ += unflushed.redo.bytes.size();  // also should it fail: then the overlay has them\n", "",
             FLUSHES),
    Mutation("carried-though-more-was-written", "9", "index/generation.cc",
             "!unflushed.redo.empty() && !unflushed.overlay_dirty &&", "!unflushed.redo.empty() &&",
             FLUSHES),
    Mutation("captured-blocks-forgotten", "9", "index/generation.cc",
             "    overlay_dirty_.store(true);\n    redo_.close();\n", "    redo_.close();\n", FLUSHES),
    Mutation("sealed-while-the-journal-carries", "19", "index/generation.cc",
             "  const bool must_settle = (whole || !may_carry) && carried_before;\n",
             "  const bool must_settle = whole && carried_before;\n", FLUSHES),
    Mutation("carried-blocks-not-redone", "18", "index/generation_files.cc",
             "    return redo_block(block);\n", "    (void)block;\n    return {};\n"),
    Mutation("old-journal-goes-before-redone-is-synced", "18", "index/generation_files.cc",
             "  if (has_redone) TRY(overlay_->sync());\n", ""),
    Mutation("synced-overlay-not-recorded", "18", "index/generation.cc",
             ".overlay_synced = carried_before});\n", ".overlay_synced = false});\n"),
    Mutation("old-blocks-redone", "18", "index/map_journal.cc",
             "    if (position < redo_from) return {};\n", "    (void)position;\n"),
    Mutation("overlay-recorded-as-synced-first", "18", "index/generation.cc",
             "    TRY(sync_overlay());\n    if (!whole) return append({.runs = unflushed.words, "
             ".overlay_synced = carried_before});\n",
             "    if (!whole) {\n"
             "      TRY(append({.runs = unflushed.words, .overlay_synced = carried_before}));\n"
             "      return sync_overlay();\n"
             "    }\n"
             "    TRY(sync_overlay());\n"),
    Mutation("journal-not-flushed", "9", "index/map_journal.cc",
             "  return file_->sync();\n", "  return {};\n"),
    Mutation("marked-before-written", "10", "index/generation.cc",
             "    TRY(write_overlay(pieces));\n    overlay_dirty_",
             "    mark_data(pieces);\n    TRY(write_overlay(pieces));\n    overlay_dirty_"),
    Mutation("marked-before-written-captured", "10", "index/generation.cc",
             "  TRY(write_overlay(pieces));\n  redo_",
             "  mark_data(pieces);\n  TRY(write_overlay(pieces));\n  redo_"),
    Mutation("checkpoint-recorded-unflushed", "12", "index/disk_cut.cc",
             "  auto flushed = flush_frozen();\n", "  Result<void> flushed;\n"),
    Mutation("live-map-of-another-boot", "proof", "index/live_map.cc",
             "  if (header != wanted) return std::unique_ptr<LiveMap>();\n", ""),
    Mutation("journal-record-unchecked", "replay", "index/journal_record.cc",
             "  if (record_checksum(bytes.first(record.bytes)) != checksum) return std::nullopt;\n",
             "  if (checksum == 0) return std::nullopt;\n", ("unit_tests", "JournalRecord*:MapJournal*:GenerationTest.*")),
    Mutation("failed-sync-forgotten", "poison", "index/generation.cc",
             "    Error error = poison(std::move(synced.error()));",
             "    Error error = std::move(synced.error());"),
    Mutation("poisoned-after-putting-back", "poison", "index/generation.cc",
             "    Error error = poison(std::move(synced.error()));  // first: a process that dies now has told it\n"
             "    put_carried_back();\n",
             "    put_carried_back();\n    Error error = poison(std::move(synced.error()));\n"),
    Mutation("failed-write-not-owed", "9", "index/generation.cc",
             "  if (!written.ok()) overlay_dirty_.store(true);\n", "", FLUSHES),
    Mutation("import-published-unregistered", "2", "index/import_image.cc",
             "  TRY(store.chunks().sync());\n\n  NewDisk disk;\n", "  NewDisk disk;\n"),
    Mutation("shrink-published-unregistered", "2", "index/disk_change.cc",
             "  TRY(resize_head(store_, shrunk, size_bytes));\n  TRY(store_.chunks().sync());\n",
             "  TRY(resize_head(store_, shrunk, size_bytes));\n"),
    Mutation("generation-not-named", "11", "index/disk_io.cc",
             "    head.generations.push_back({generation->number(), before->size_bytes});\n", ""),
    Mutation("armed-generation-not-named", "11", "index/disk_cut.cc",
             "    head.generations.push_back({made->number(), size_bytes});\n", ""),
    Mutation("cut-while-still-written-to", "13", "index/disk_cut.cc",
             "    now->generations[i]->drain();\n", "", LIVE),
    Mutation("group-sealed-unrecorded", "14", "index/disk_seal.cc",
             "  while (is_kept_by_group(generation->number())) {\n",
             "  while (is_kept_by_group(generation->number()) && options.stop()) {\n", LIVE),
    Mutation("session-ends-before-publication", "15", "index/disk_seal.cc",
             "  TRY_ASSIGN(const WriteSession session, store_.begin_session());\n"
             "  TRY_ASSIGN(auto tree, seal_generation(oldest, options));\n",
             "  std::optional<WriteSession> session;\n"
             "  {\n"
             "    TRY_ASSIGN(auto begun, store_.begin_session());\n"
             "    session.emplace(std::move(begun));\n"
             "  }\n"
             "  TRY_ASSIGN(auto tree, seal_generation(oldest, options));\n"
             "  session.reset();\n", TOGETHER),
    Mutation("sessions-not-waited-for", "15", "cas/write_session.cc",
             "(uint64_t generation = generations.oldest; ",
             "(uint64_t generation = generations.current; ", TOGETHER),
    Mutation("session-of-an-ended-generation", "15", "cas/write_session.cc",
             "    if (lock.ok() && before.current == after.current) {\n",
             "    if (lock.ok() && before.current <= after.current) {\n", SESSIONS),
    Mutation("condemned-copies-trusted", "15", "cas/location_table.cc",
             "    if (!pack || !pack->condemned) found = entry->location;\n",
             "    (void)pack;\n    found = entry->location;\n", SESSIONS),
    Mutation("condemned-packs-registered-in", "15", "cas/location_table.cc",
             "      if (!record || record->condemned) refused.push_back(pack);\n",
             "      if (!record) refused.push_back(pack);\n", SESSIONS),
    Mutation("marked-before-sessions-end", "15", "index/garbage_collection.cc",
             "  TRY(collector.condemn_and_wait(chosen));\n  TRY(mark_now(store, marker));\n",
             "  TRY(mark_now(store, marker));\n  TRY(collector.condemn_and_wait(chosen));\n", TOGETHER),
    Mutation("view-not-pinned", "16", "index/checkpoint_view.cc",
             "    TRY(layers.pin->hold());\n    TRY_ASSIGN(FoundCheckpoint again, "
             "find_checkpoint(store, name));\n",
             "    TRY_ASSIGN(FoundCheckpoint again, find_checkpoint(store, name));\n", TOGETHER),
    Mutation("view-pinned-after-the-look", "16", "index/checkpoint_view.cc",
             "    TRY(layers.pin->hold());\n    TRY_ASSIGN(FoundCheckpoint again, "
             "find_checkpoint(store, name));\n",
             "    TRY_ASSIGN(FoundCheckpoint again, find_checkpoint(store, name));\n"
             "    TRY(layers.pin->hold());\n", LIVE),
    Mutation("old-root-not-pinned", "16", "index/disk_seal.cc",
             "  if (sealed) TRY(layers()->pin->hold());\n", "", LIVE),
    Mutation("copies-not-synced", "17", "cas/pack_collector.cc",
             "  if (!moves.empty()) TRY(writer.sync());\n", ""),
    Mutation("pack-deleted-before-it-is-left", "17", "cas/pack_collector.cc",
             "  std::ranges::sort(moves, {}, &LocationTable::Move::id);\n",
             "  TRY(delete_files(done));\n"
             "  std::ranges::sort(moves, {}, &LocationTable::Move::id);\n"),
    Mutation("names-of-the-dead-not-synced", "21", "index/store.cc",
             "  TRY(settle_names(*store->directory_));\n", "", NAMES),
    Mutation("new-names-not-told-of", "21", "index/store_format.cc",
             "  TRY(begin_names(*directory));\n", "", NAMES),
    Mutation("pool-record-with-its-key-at-once", "pool", "cas/kv/hyperv_pool.cc",
             "    std::ranges::copy(kNoKey, record_in(nameless, i).begin());\n", "    (void)i;\n", POOLS),
    Mutation("pool-grown-unsynced", "pool", "cas/kv/hyperv_pool.cc",
             "  TRY(file_.sync());  // of zeros: no file system shows what was on the device before\n", "", POOLS),
    Mutation("pool-record-not-synced-before-its-key", "pool", "cas/kv/hyperv_pool.cc",
             "  TRY(file_.write(offset, nameless));\n  return file_.sync();\n",
             "  return file_.write(offset, nameless);\n", POOLS),
    Mutation("pool-long-value-in-its-place", "pool", "cas/kv/hyperv_pool.cc",
             "  if (longest >= kHypervSectorBytes) {\n", "  if (longest > kHypervValueBytes) {\n", POOLS),
    Mutation("pool-place-not-synced", "pool", "cas/kv/hyperv_pool.cc",
             "    TRY(file_.write(offset_of(slot), records));\n    TRY(file_.sync());\n",
             "    TRY(file_.write(offset_of(slot), records));\n", POOLS),
    Mutation("pool-copies-cut-with-their-keys", "pool", "cas/kv/hyperv_pool.cc",
             "  TRY(forget(slots_between(copies_at, copies_at + count_of(copies))));\n  return cut(end);\n",
             "  return cut(end);\n", POOLS),
    Mutation("pool-older-duplicate-comes-back", "pool", "cas/kv/hyperv_pool.cc",
             "  TRY(forget(slots.first(slots.size() - 1)));\n  TRY(forget(slots.last(1)));\n",
             "  TRY(forget(slots));\n", POOLS),
]
