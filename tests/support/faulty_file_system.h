// FaultyFileSystem: another FileSystem whose operations fail when a test says so.
//
// Fault model: a failing write leaves the first half of its bytes behind; a failing sync or
// write-out syncs nothing and poisons its file, as the contract says; everything else fails without
// an effect. Safe to call from any thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "cas/os/file.h"

namespace casdisk {

enum class FileOperation {
  kRead,
  kWrite,
  kSync,
  kWriteOut,
  kOpen,
  kDirectorySync,
  kAllocate,
  kPunch,
  kRemove,
};
inline constexpr size_t kFileOperationCount = 9;

// What is to fail, and what has been done.
class FaultPlan {
 public:
  // The `nth` operation of that kind from now on (1: the next) fails, and `count - 1` more.
  void fail(FileOperation operation, uint64_t nth, int error_number, uint64_t count = 1);

  // Runs `action` once, just before the next operation of that kind.
  void before_next(FileOperation operation, std::function<void()> action);

  // What Directory::free_bytes() says from now on.
  void set_free_bytes(uint64_t free_bytes);
  std::optional<uint64_t> free_bytes() const;

  uint64_t done_count(FileOperation operation) const;

  // For the file system: counts the operation; its errno, or 0 when it is to succeed.
  int begin(FileOperation operation);

 private:
  struct Rule {
    uint64_t done_count = 0;
    uint64_t first = 0;  // in terms of done_count; 0: none
    uint64_t last = 0;
    int error_number = 0;
    std::function<void()> action;
  };
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::array<Rule, kFileOperationCount> rules_;
  std::optional<uint64_t> free_bytes_;
};

class FaultyFileSystem : public FileSystem {
 public:
  // Both outlive it and all that is opened through it.
  FaultyFileSystem(FileSystem& inner, FaultPlan& plan) : inner_(inner), plan_(plan) {}

  Result<std::unique_ptr<Directory>> open_directory(const std::string& path) override;
  Result<std::unique_ptr<File>> open_foreign(const std::string& path) override;
  Result<std::string> canonical(const std::string& path) override { return inner_.canonical(path); }
  Result<void> read(std::span<const ReadPiece> pieces) override;
  Result<void> write(std::span<const WritePiece> pieces) override;
  const std::string& boot_id() const override { return inner_.boot_id(); }
  std::string_view name() const override { return inner_.name(); }

 private:
  // Fixed after construction.
  FileSystem& inner_;
  FaultPlan& plan_;
};

}  // namespace casdisk
