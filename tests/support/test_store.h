// A store in a temporary directory, and shorthands that fail the test where they fail.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "index/disk.h"
#include "index/store.h"
#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {

// The value of a Result that must be a success.
template <typename T>
T must(Result<T> result) {
  if (result.ok()) return std::move(result).value();
  ADD_FAILURE() << describe(result.error());
  std::abort();
}
inline void must(Result<void> result) { ASSERT_OK(result); }

class TestStore {
 public:
  explicit TestStore(Codec codec = Codec::kLz4);

  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  const std::string& path() const { return path_; }

  // Ends the process's use of the store and begins another, on another file system if given.
  void reopen(std::shared_ptr<FileSystem> file_system = nullptr);

  std::shared_ptr<Disk> disk(const std::string& name) {
    return must(Disk::open(*store_, name, {}));
  }
  std::shared_ptr<Disk> served_disk(const std::string& name) {
    return must(Disk::open(*store_, name, DiskOptions{.is_served = true}));
  }

 private:
  TemporaryDirectory directory_;
  std::string path_;
  std::unique_ptr<Store> store_;
};

// All bytes of a volume.
Bytes contents(Volume& volume);

inline void no_progress(uint64_t) {}

}  // namespace casdisk
