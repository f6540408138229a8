// KvFiles: files in a key-value store that has versions and batches.
//
// Names are bytes, flat; "/" has no meaning but what a list with a prefix gives it. A change is
// published in one step: a reader sees a file before a write or after it, never a part, and so does
// whoever looks after a crash. Blocks of 64 KiB, fewer bytes where the store's values are smaller,
// are put under the id of their write, which nobody names yet; then one small batch, conditional on
// the file being as it was, makes the file name them, and notes what it no longer names. What a
// process that died leaves is found by such notes alone, and freed by collect(): nothing is
// scanned.
//
// Safe to call from any thread, and from several processes at once. Errors are the store's, and
// kNotFound, kExists, kConflict (others were faster, many times), kTooLarge, kDamaged.
#pragma once

#include <memory>

#include "cas/kv/kv_file_record.h"
#include "cas/kv/kv_store.h"

namespace casdisk {

struct KvFilesOptions {
  uint8_t first_scope = 0x10;       // of four, the keys' first bytes: nobody else's in this store
  KvClock clock = system_kv_clock;  // of modified_ms, and of what collect() finds old
};

struct KvFileInfo {
  std::string name;
  uint64_t size_bytes = 0;
  uint64_t modified_ms = 0;
  uint64_t version = 0;  // another one after each change
};

struct KvFilePage {
  std::vector<KvFileInfo> files;  // by name
  std::optional<std::string> cursor;
};

class KvFiles {
 public:
  // The store must outlive it. kUnsupported where it lacks versions or batches, or keys are text.
  static Result<std::unique_ptr<KvFiles>> open(KvStore& store, const KvFilesOptions& options);

  // kExists where there is one.
  Result<KvFileInfo> create(std::string_view name, std::string_view content);
  // The whole content, of a file that is there or not. With a version: kConflict unless it is
  // there, at that one.
  Result<KvFileInfo> replace(std::string_view name, std::string_view content,
                             std::optional<uint64_t> if_version = std::nullopt);
  // Some of it. What lies between the old end and `offset` is zeros.
  Result<KvFileInfo> write(std::string_view name, uint64_t offset, std::string_view bytes);

  Result<KvFileInfo> stat(std::string_view name);
  // Fills `to` from `offset` on: how many bytes, fewer at the end of the file. All are of one
  // version.
  Result<size_t> read(std::string_view name, uint64_t offset, std::span<char> to);
  Result<KvFilePage> list(std::string_view prefix, const KvListOptions& options = {});

  // Whether it was there.
  Result<bool> remove(std::string_view name);
  // kExists where there is a file of the new name.
  Result<void> rename(std::string_view from, std::string_view to);

  // Frees the blocks that no file names any more, and those of writes that began `age_ms` ago or
  // earlier and are not published: a write that takes longer than that fails. How many records.
  Result<uint64_t> collect(uint64_t age_ms);

 private:
  struct Entry {
    KvFileRecord record;
    uint64_t version = 0;
  };
  struct Edit {
    uint64_t offset = 0;
    std::string_view bytes;
    bool is_whole = false;  // nothing of the old content stays
  };
  using Rule = std::function<Result<void>(const std::optional<Entry>& old)>;

  KvFiles(KvStore& store, const KvFilesOptions& options);

  std::string entry_key(std::string_view name) const;
  std::string staged_key(const KvWriteId& write) const;
  std::string garbage_key(const KvWriteId& write) const;
  std::string block_key(const KvWriteId& write, uint64_t index) const;
  Result<std::optional<Entry>> find(std::string_view name);
  Result<Entry> must_find(std::string_view name);

  Result<KvFileInfo> change(std::string_view name, const Edit& edit, const Rule& rule);
  Result<KvFileInfo> attempt(std::string_view name, const std::optional<Entry>& old,
                             const Edit& edit, const KvWriteId& write);
  Result<void> stage(const KvFileRecord& old, uint64_t new_size_bytes, const Edit& edit,
                     uint64_t first, uint64_t end, const KvWriteId& write);
  Result<std::string> merged_block(const KvFileRecord& old, uint64_t new_size_bytes,
                                   const Edit& edit, uint64_t index);
  Result<void> check_overtaken(std::string_view name, uint64_t version, const Error& missing);
  Result<void> read_blocks(const KvFileRecord& record, uint64_t offset, std::span<char> to);

  void abandon(const KvWriteId& write);
  Result<void> give_up(const KvWriteId& write);
  Result<uint64_t> free_garbage(const std::string& key, const std::vector<KvBlockRange>& ranges);
  Result<uint64_t> free_range(const KvBlockRange& range);

  // Fixed after construction.
  KvStore& store_;
  const KvFilesOptions options_;
  const uint32_t block_bytes_;
  const size_t max_run_count_;
};

}  // namespace casdisk
