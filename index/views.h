// Views: the trees that processes read from although the catalog may not name them any more.
//
//   views/<process>.lock      locked for as long as that process has the store open; random names
//   views/<process>.<number>  a pin: the root of a tree and its number of chunks, as text
//
// Garbage collection takes the root of each pin for a root. Whoever reads a tree for longer than
// the catalog is sure to name it pins it first, then looks once more whether the catalog still
// names it; from then on it stays whole until the pin goes. A pin never makes a tree the catalog's
// again: that takes a transaction that finds it there. A process that dies leaves files that its
// lock tells from living ones. Safe to call from any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cas/machine.h"
#include "cas/os/file.h"
#include "cas/space_reserve.h"
#include "index/tree.h"

namespace casdisk {

class Views {
 public:
  // `root` is the store's directory; all outlive it, and it outlives the pins. `process` is a name
  // that no other process of the store has.
  static Result<std::unique_ptr<Views>> open(Machine& machine, Directory& root,
                                             SpaceReserve* reserve, const std::string& process);
  ~Views();

  using Pin = std::shared_ptr<const void>;
  // Null for a tree without pages.
  Result<Pin> pin(const Tree& tree);

  // What is pinned, by all processes. A pin that is made meanwhile may be missing. Removes what
  // dead processes left.
  Result<std::vector<Tree>> pinned();

 private:
  Views(Machine& machine, std::unique_ptr<Directory> files, SpaceReserve* reserve,
        std::string process)
      : machine_(machine),
        files_(std::move(files)),
        reserve_(reserve),
        process_(std::move(process)) {}
  Result<void> lock_process();
  Result<void> write(const std::string& name, const std::string& text);
  bool lives(const std::string& process);

  // Fixed after construction.
  Machine& machine_;
  const std::unique_ptr<Directory> files_;
  SpaceReserve* const reserve_;
  const std::string process_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::optional<FileLock> lock_;
  uint64_t last_number_ = 0;
};

// TreePin: a pin that is made when it is needed: of the tree in somebody's layers, which the
// catalog still names. Safe to call from any thread.
class TreePin {
 public:
  TreePin(Views& views, const Tree& tree) : views_(views), tree_(tree) {}

  // From now on the tree is pinned for as long as this lives.
  Result<void> hold();

 private:
  // Fixed after construction.
  Views& views_;
  const Tree tree_;

  std::mutex mutex_;
  Views::Pin pin_;  // guarded by mutex_
};

}  // namespace casdisk
