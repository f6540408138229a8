// PosixFile and PosixMapping: a file and a shared mapping of one, by plain system calls.
//
// Owns its descriptor, which is CLOEXEC. Interrupted calls are repeated, short transfers continued.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "cas/os/file.h"

namespace casdisk {

class PosixFile : public File {
 public:
  // Takes the descriptor over; `path` is for messages.
  PosixFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~PosixFile() override;
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  Result<void> read(uint64_t offset, std::span<std::byte> into) const override;
  Result<void> write(uint64_t offset, std::span<const std::byte> from) override;
  Result<void> sync() override;
  Result<void> write_out() override;
  Result<uint64_t> size() const override;
  Result<void> resize(uint64_t size_bytes) override;
  Result<void> punch(uint64_t offset, uint64_t length) override;
  Result<void> allocate(uint64_t offset, uint64_t length) override;
  Result<DataRange> next_data(uint64_t offset) const override;
  Result<uint64_t> allocated_bytes() const override;
  Result<FileIdentity> identity() const override;
  const std::string& path() const override { return path_; }
  int descriptor() const override { return descriptor_; }

 private:
  // Fixed after construction.
  const int descriptor_;
  const std::string path_;

  // REQUIRES, of both: sync_mutex_ is held. `outcome` is a system call's, errno its error.
  Result<void> check_not_poisoned() const;
  Result<void> settle(int outcome, std::string_view operation);

  // Syncs and write-outs of one file run one after the other: the kernel reports a lost write to
  // one of them only, so a second one running beside it could answer "all is well".
  std::mutex sync_mutex_;
  // Guarded by sync_mutex_.
  bool poisoned_ = false;
};

class PosixMapping : public Mapping {
 public:
  // Maps the whole file. kInvalid when it is empty.
  static Result<std::unique_ptr<Mapping>> map(const File& file);
  ~PosixMapping() override;
  PosixMapping(const PosixMapping&) = delete;
  PosixMapping& operator=(const PosixMapping&) = delete;

  std::span<std::byte> bytes() override { return bytes_; }

 private:
  explicit PosixMapping(std::span<std::byte> bytes) : bytes_(bytes) {}
  // Fixed after construction.
  const std::span<std::byte> bytes_;
};

}  // namespace casdisk
