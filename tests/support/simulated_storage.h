// What a simulated computer keeps: files and directories, as processes see them and as the device
// has them, and what a power cut makes of the difference.
//
// The fault model. What was not synced is a difference between the page cache and the device:
//
// - A page (4 KiB) that was written whole, since the last sync of its file, holds after the cut any
//   one of its contents since then, the synced one included, whatever became of other pages. A page
//   of which a part was written holds such a mix, each sector (512 bytes) by itself.
// - A page beyond the end that the file has on the device, such a mix too, may also hold junk.
// - Punched holes, cut-off and allocated ranges are contents like others. The size is one of those
//   that the file had since its last sync.
// - Pages that are mapped may have been written at any time: what they hold now counts as written.
// - Each creation, removal and renaming of a name, since the last sync of its directory, is there
//   or not, by itself; those that are there happened in their order. A file whose name is not there
//   is gone.
// - A sync that failed has, page by page, written what it should, or dropped it: the device keeps
//   the old content, no later sync covers it, and the page cache may have gone back to the old
//   content too. So with names, of which the page cache keeps the new ones.
//
// Relied on, as in docs/FORMAT.md: an aligned page that is written whole is never torn, what was a
// hole holds nothing that the file never had, and a sync that succeeded is true. Everything is
// drawn from the one generator that is handed in.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "cas/os/bytes.h"

namespace casdisk {

using Dice = std::mt19937_64;

// True with a probability of `part` in `whole`.
inline bool one_of(Dice& dice, uint64_t part, uint64_t whole) { return dice() % whole < part; }

inline constexpr uint64_t kSimulatedPageBytes = 4096;

// The bytes of a file. Not safe for concurrent use, as everything here.
class SimulatedBytes {
 public:
  uint64_t size_bytes() const { return cache_.size(); }
  const Bytes& cache() const { return cache_; }
  Bytes& cache() { return cache_; }
  bool is_allocated(uint64_t page) const { return page < allocated_.size() && allocated_[page]; }
  uint64_t page_count() const { return allocated_.size(); }
  uint64_t allocated_bytes() const;
  // Pages that a write or an allocation of the range would add.
  uint64_t missing_pages(uint64_t offset, uint64_t length) const;

  void write(uint64_t offset, std::span<const std::byte> from);
  void resize(uint64_t size_bytes);
  void punch(uint64_t offset, uint64_t length);
  void allocate(uint64_t offset, uint64_t length);
  void note_mapped() { is_mapped_ = true; }

  void sync();
  void fail_sync(Dice& dice);
  void cut_power(Dice& dice);

 private:
  using Page = std::optional<Bytes>;  // nothing: a hole
  struct History {
    std::vector<Page> contents;  // between the synced one and the present one
    bool in_parts = false;
  };

  Page cached_page(uint64_t page) const;
  Page device_page(uint64_t page) const;
  void set_cached(uint64_t page, const Page& content);
  void set_device(uint64_t page, const Page& content);
  void before_change(uint64_t page, bool is_whole);
  void change_size(uint64_t size_bytes);
  void find_mapped_changes();
  Page after_cut(uint64_t page, const History& history, Dice& dice) const;

  Bytes cache_;
  std::vector<bool> allocated_;
  bool is_mapped_ = false;
  std::map<uint64_t, Page> device_;  // pages that it has; a hole has none
  uint64_t device_size_ = 0;
  std::map<uint64_t, History> unsynced_;
  std::vector<uint64_t> sizes_;  // since the last sync
};

// The pairs of an environment; commits are durable when they return, and make a new one: who reads
// goes on with what was there.
using SimulatedTable = std::map<Bytes, Bytes>;
using SimulatedTablePointer = std::shared_ptr<const SimulatedTable>;

struct SimulatedInode;
using InodePointer = std::shared_ptr<SimulatedInode>;

// The names in a directory.
class SimulatedNames {
 public:
  using Entries = std::map<std::string, InodePointer>;
  const Entries& entries() const { return cache_; }
  Entries& device_entries() { return device_; }
  InodePointer find(const std::string& name) const;

  void set(const std::string& name, InodePointer inode);  // null: removes it
  void rename(const std::string& from, const std::string& to);

  void sync();
  void fail_sync(Dice& dice);
  void cut_power(Dice& dice);

 private:
  struct Change {
    std::string from;  // taken away, unless empty
    std::string to;    // gets the inode, unless empty
    InodePointer inode;
  };
  static void apply(const Change& change, Entries& entries);

  Entries cache_;
  Entries device_;
  std::vector<Change> unsynced_;
};

struct SimulatedInode {
  uint64_t number = 0;
  bool is_directory = false;
  int64_t mtime_ns = 0;
  SimulatedBytes bytes;
  SimulatedNames names;
  SimulatedTablePointer table = std::make_shared<SimulatedTable>();  // of an environment's file
};

// What a power cut leaves of a tree of directories and files.
void cut_power(const InodePointer& root, Dice& dice);

// Brings all of it to the device.
void sync_tree(const InodePointer& root);

// A copy that shares nothing. REQUIRES: everything is on the device.
InodePointer copy_tree(const InodePointer& root);

}  // namespace casdisk
