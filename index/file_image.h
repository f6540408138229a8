// FileImage: a raw image file or block device as the source of an import, holes skipped.
#pragma once

#include <memory>

#include "cas/os/file.h"
#include "index/image.h"

namespace casdisk {

class FileImage : public ImageSource {
 public:
  static Result<std::unique_ptr<FileImage>> open(FileSystem& file_system, const std::string& path);

  std::optional<uint64_t> size_bytes() const override { return identity_.size_bytes; }
  Result<bool> next(ImagePiece& piece) override;
  Result<void> fetch(ImagePiece& piece) override;
  // kDamaged when the file changed while it was read.
  Result<uint64_t> finish() override;

 private:
  FileImage(std::unique_ptr<File> file, const FileIdentity& identity)
      : file_(std::move(file)), identity_(identity) {}

  std::unique_ptr<File> file_;
  FileIdentity identity_;
  uint64_t position_ = 0;  // where the search for data goes on
  uint64_t data_end_ = 0;  // the data range under the position ends here
};

}  // namespace casdisk
