// PosixFileSystem: the I/O seam by plain system calls, one after the other.
#pragma once

#include <memory>
#include <string>

#include "cas/os/file.h"

namespace casdisk {

class PosixDirectory : public Directory {
 public:
  static Result<std::unique_ptr<Directory>> open_path(const std::string& path);
  ~PosixDirectory() override;
  PosixDirectory(const PosixDirectory&) = delete;
  PosixDirectory& operator=(const PosixDirectory&) = delete;

  Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) override;
  // kUnsupported for files without a descriptor.
  Result<std::unique_ptr<Mapping>> map(File& file) override;
  Result<std::unique_ptr<Directory>> open_directory(std::string_view name) override;
  Result<void> make_directory(std::string_view name) override;
  Result<void> remove(std::string_view name) override;
  Result<void> remove_directory(std::string_view name) override;
  Result<void> rename(std::string_view from, std::string_view to) override;
  Result<std::vector<std::string>> list() override;
  Result<void> sync() override;
  Result<uint64_t> mount_id() override;
  Result<uint64_t> free_bytes() override;
  const std::string& path() const override { return path_; }

 private:
  PosixDirectory(int descriptor, std::string path)
      : descriptor_(descriptor), path_(std::move(path)) {}

  // Fixed after construction.
  const int descriptor_;
  const std::string path_;
};

class PosixFileSystem : public FileSystem {
 public:
  PosixFileSystem();

  Result<std::unique_ptr<Directory>> open_directory(const std::string& path) override;
  Result<std::unique_ptr<File>> open_foreign(const std::string& path) override;
  Result<std::string> canonical(const std::string& path) override;
  Result<void> read(std::span<const ReadPiece> pieces) override;
  Result<void> write(std::span<const WritePiece> pieces) override;
  const std::string& boot_id() const override { return boot_id_; }
  std::string_view name() const override { return "posix"; }

 private:
  // Fixed after construction.
  std::string boot_id_;
};

}  // namespace casdisk
