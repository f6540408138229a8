#include "index/fallback.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cas/os/parallel.h"

namespace casdisk {
namespace {

constexpr size_t kMaxQueuedChunks = 1024;  // numbers only; the worker reads the bytes
constexpr size_t kChunksPerCommit = 256;   // 16 MiB between two commits of the table
constexpr auto kCommitDelay = std::chrono::milliseconds(200);
constexpr auto kPauseAfterFailure = std::chrono::seconds(2);  // bounds the lines of the log, too

}  // namespace

Fallback::Fallback(FileSystem& file_system, LocalStore& chunks, Catalog& catalog, Views& views,
                   const FallbackRecord& record, LogSink log)
    : file_system_(file_system),
      chunks_(chunks),
      catalog_(catalog),
      views_(views),
      record_(record),
      id_(record.id()),
      log_(std::move(log)) {}

Fallback::~Fallback() {
  {
    std::lock_guard lock(queue_mutex_);
    stopping_ = true;
    queue_changed_.notify_all();
  }
  if (worker_.joinable()) worker_.join();
}

PinnedTree Fallback::table() const {
  std::shared_lock lock(table_mutex_);
  return {tree_of(table_root_), table_pin_};
}

Result<const File*> Fallback::file() {
  std::lock_guard lock(file_mutex_);
  if (!file_) {
    auto opened = file_system_.open_foreign(record_.path);
    if (!opened.ok()) {
      Error error = std::move(opened.error());
      error.fault = Fault::kIo;
      error.context = fmt::format(
          "fallback file {} is needed for chunks that are not in the store "
          "yet; put it back ({})",
          record_.path, error.context);
      return error;
    }
    file_ = std::move(opened).value();
  }
  return static_cast<const File*>(file_.get());
}

Result<std::optional<FallbackRecord>> Fallback::recorded() {
  std::optional<FallbackRecord> record;
  TRY(catalog_.view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(record, reader.find_fallback(id_));
    return {};
  }));
  return record;
}

// Pinned, then looked up once more (views.h). A table only grows, but for a record that was swept
// and made anew meanwhile, with an empty one: that ends.
Result<bool> Fallback::refresh() {
  std::lock_guard commit_lock(commit_mutex_);
  TRY_ASSIGN(auto record, recorded());
  if (!record || record->table_root == table().tree.root) return false;
  for (;;) {
    TRY_ASSIGN(Views::Pin pin, views_.pin(tree_of(record->table_root)));
    const Entry root = record->table_root;
    TRY_ASSIGN(record, recorded());
    if (!record) return false;
    if (record->table_root != root) continue;
    std::unique_lock lock(table_mutex_);
    table_root_ = root;
    table_pin_.swap(pin);  // the old one goes without the lock
    lock.unlock();
    return true;
  }
}

Result<void> Fallback::check_pin() {
  TRY_ASSIGN(const File* file, file());
  TRY_ASSIGN(FileIdentity identity, file->identity());
  if (identity == record_.identity) return {};
  return Error{Fault::kDamaged, 0,
               fmt::format("fallback file {} is not what it was when the disk was made (size {}, "
                           "then {}; or another inode or time of change); chunks that are not in "
                           "the store yet cannot be read until the original is back",
                           record_.path, identity.size_bytes, record_.identity.size_bytes)};
}

void Fallback::want(uint64_t first_chunk, uint64_t count) {
  std::lock_guard lock(queue_mutex_);
  for (uint64_t chunk = first_chunk; chunk < first_chunk + count; chunk++) {
    if (queue_.size() >= kMaxQueuedChunks || stopping_) break;
    if (queued_or_taken_.insert(chunk).second) queue_.push_back(chunk);
  }
  if (!worker_.joinable() && !stopping_) {
    auto worker = start_thread([this] { work(); });
    if (worker) worker_ = std::move(*worker);  // else another read will try
  }
  queue_changed_.notify_one();
}

// Forgets what was asked for: a full file system or a sick device may have recovered when the next
// chunk is read.
void Fallback::pause(const Error& error) {
  log_("background ingestion pauses: " + describe(error));
  std::unique_lock lock(queue_mutex_);
  queue_changed_.wait_for(lock, kPauseAfterFailure, [this] { return stopping_; });
  queue_.clear();
  queued_or_taken_.clear();
}

Result<void> Fallback::add_to_batch(uint64_t chunk, std::optional<WriteSession>& session,
                                    std::vector<Change>& taken) {
  if (!session) {
    TRY_ASSIGN(auto begun, chunks_.begin_session());
    session.emplace(std::move(begun));
  }
  TRY_ASSIGN(const Change change, take_in(chunk));
  taken.push_back(change);
  return {};
}

// True: its record was swept. Whoever still has it open, a view of a removed checkpoint say, reads
// the file, and what is taken in could be entered nowhere.
bool Fallback::stop_if_swept() {
  auto record = recorded();
  if (!record.ok() || record.value()) return false;
  std::lock_guard lock(queue_mutex_);
  stopping_ = true;
  return true;
}

void Fallback::work() {
  std::optional<WriteSession> session;  // from the first chunk of a batch to its commit
  std::vector<Change> taken;
  for (;;) {
    std::unique_lock lock(queue_mutex_);
    queue_changed_.wait_for(lock, taken.empty() ? std::chrono::hours(1) : kCommitDelay,
                            [this] { return stopping_ || !queue_.empty(); });
    bool idle = queue_.empty(), stopping = stopping_;
    std::optional<uint64_t> chunk;
    if (!idle && !stopping) {
      chunk = queue_.front();
      queue_.pop_front();
    }
    lock.unlock();
    if (chunk) {
      if (auto added = add_to_batch(*chunk, session, taken); !added.ok()) pause(added.error());
    }
    if (taken.size() >= kChunksPerCommit || (!chunk && !taken.empty())) {
      if (auto done = commit(std::exchange(taken, {})); !done.ok()) {
        if (stop_if_swept()) return;
        pause(done.error());
      } else {
        std::lock_guard relock(queue_mutex_);
        queued_or_taken_.clear();
        queued_or_taken_.insert(queue_.begin(), queue_.end());
      }
    }
    if (taken.empty()) session.reset();
    if (stopping) return;
  }
}

// One chunk of the file, put into the store. Reads it again: the queue carries no bytes.
Result<Change> Fallback::take_in(uint64_t chunk) {
  TRY_ASSIGN(const File* source, file());
  uint64_t offset = chunk * kChunkBytes;
  Bytes bytes(kChunkBytes);
  TRY(source->read(offset,
                   std::span(bytes).first(std::min<uint64_t>(kChunkBytes, size_bytes() - offset))));
  TRY(check_pin());
  if (is_all_zero(bytes)) return Change{chunk, Entry::zero()};
  TRY_ASSIGN(ChunkId id, chunks_.put(ObjectKind::kChunk, bytes));
  return Change{chunk, Entry::of(id)};
}

// Other processes enter chunks too: whoever finds the table changed begins again from theirs. In a
// session that began before the chunks were put.
Result<void> Fallback::commit(std::vector<Change> changes) {
  std::lock_guard commit_lock(commit_mutex_);
  std::sort(changes.begin(), changes.end(),
            [](const Change& a, const Change& b) { return a.chunk < b.chunk; });
  changes.erase(std::unique(changes.begin(), changes.end(),
                            [](const Change& a, const Change& b) { return a.chunk == b.chunk; }),
                changes.end());
  for (Entry base = table().tree.root;;) {
    TRY_ASSIGN(Tree edited, edit(chunks_, tree_of(base), changes));
    TRY(chunks_.sync());
    TRY_ASSIGN(Views::Pin pin, views_.pin(edited));
    bool published = false;
    TRY(catalog_.update([&](CatalogWriter& writer) -> Result<void> {
      TRY_ASSIGN(auto current, writer.find_fallback(id_));
      if (!current) {
        return Error{Fault::kNotFound, 0,
                     fmt::format("fallback {}: no disk and no checkpoint is over it any more",
                                 record_.path)};
      }
      published = current->table_root == base;
      base = current->table_root;
      if (!published) return {};
      current->table_root = edited.root;
      return writer.put_fallback(id_, *current);
    }));
    if (!published) continue;
    std::unique_lock lock(table_mutex_);
    table_root_ = edited.root;
    table_pin_.swap(pin);
    lock.unlock();
    return {};
  }
}

Result<void> Fallback::ingest_all(uint64_t end_chunk, unsigned threads,
                                  const std::function<void(uint64_t bytes)>& progress) {
  std::vector<uint64_t> missing;
  auto take_missing = [&]() -> Result<void> {
    TRY_ASSIGN(const WriteSession session, chunks_.begin_session());
    std::vector<Change> changes(missing.size());
    TRY(parallel_for(missing.size(), threads, [&](size_t i) -> Result<void> {
      TRY_ASSIGN(changes[i], take_in(missing[i]));
      progress(kChunkBytes);
      return {};
    }));
    missing.clear();
    return commit(std::move(changes));
  };
  for (uint64_t first = 0; first < end_chunk; first += kChunksPerCommit) {
    uint64_t count = std::min<uint64_t>(kChunksPerCommit, end_chunk - first);
    const PinnedTree table = this->table();
    TRY(walk(chunks_, table.tree, first, count, [&](const EntryRun& run) {
      for (uint64_t i = 0; i < run.count && run.entry.state == EntryState::kAbsent; i++) {
        missing.push_back(run.first + i);
      }
      return true;
    }));
    if (!missing.empty()) TRY(take_missing());
  }
  return {};
}

}  // namespace casdisk
