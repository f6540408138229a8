// Fallback: a raw base image that answers for chunks which no tree of ours has yet.
//
// One object per file and process, shared by all its disks. The file's identity is pinned when the
// fallback is recorded; a file that changed or vanished is an error for the chunks that are not in
// the store yet, never zeros. Reads answer from the file at once; what was read is queued for a
// background thread that puts it into the store and enters it in the file's table, in batches, so
// that in the end the file is not needed. The queue is bounded and drops when it is behind. Safe to
// call from any thread; make it after fork.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "cas/local_store.h"
#include "cas/os/file.h"
#include "index/catalog.h"
#include "index/tree.h"
#include "index/views.h"

namespace casdisk {

using LogSink = std::function<void(const std::string&)>;

// A tree that stays whole for as long as the pin is held.
struct PinnedTree {
  Tree tree;
  Views::Pin pin;
};

class Fallback {
 public:
  // All but `record` and `log` outlive it. It has no table yet: refresh() gives it one.
  Fallback(FileSystem& file_system, LocalStore& chunks, Catalog& catalog, Views& views,
           const FallbackRecord& record, LogSink log);
  ~Fallback();

  const FallbackId& id() const { return id_; }
  uint64_t size_bytes() const { return record_.identity.size_bytes; }
  const std::string& path() const { return record_.path; }

  // What of the file is in the store: absent means that the file must be asked.
  PinnedTree table() const;

  // Takes over what other processes have entered since; false when that was nothing. To be tried
  // when the file fails: the chunks may not need it any more.
  Result<bool> refresh();

  // The open file. An error tells the user which file it was and what it should be.
  Result<const File*> file();
  // The file is still what was pinned. To be called after every read of it, before the bytes count.
  Result<void> check_pin();

  // From now on want() does nothing. To be called before anything else is.
  void ingest_on_demand_only() { stopping_ = true; }

  // Asks for chunks that were just read to be taken into the store, some time or never.
  void want(uint64_t first_chunk, uint64_t count);

  // Takes in the chunks [0, end_chunk) that are missing, on `threads` threads. `progress` is called
  // with bytes done; it may be called from any of them.
  Result<void> ingest_all(uint64_t end_chunk, unsigned threads,
                          const std::function<void(uint64_t bytes)>& progress);

 private:
  Result<void> add_to_batch(uint64_t chunk, std::optional<WriteSession>& session,
                            std::vector<Change>& taken);
  void work();
  void pause(const Error& error);
  bool stop_if_swept();
  Result<Change> take_in(uint64_t chunk);
  Result<void> commit(std::vector<Change> changes);
  Result<std::optional<FallbackRecord>> recorded();
  Tree tree_of(const Entry& root) const { return {root, chunks_for(size_bytes())}; }

  // Fixed after construction.
  FileSystem& file_system_;
  LocalStore& chunks_;
  Catalog& catalog_;
  Views& views_;
  FallbackRecord record_;
  FallbackId id_;
  LogSink log_;

  std::mutex commit_mutex_;  // one change of the table at a time; taken before table_mutex_
  mutable std::shared_mutex table_mutex_;
  // Guarded by table_mutex_.
  Entry table_root_;
  Views::Pin table_pin_;

  std::mutex file_mutex_;
  std::unique_ptr<File> file_;  // set once, guarded by file_mutex_

  // Guarded by queue_mutex_.
  std::mutex queue_mutex_;
  std::condition_variable queue_changed_;
  std::deque<uint64_t> queue_;
  std::unordered_set<uint64_t> queued_or_taken_;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace casdisk
