// RawFileSink: a new raw image file, holes as holes.
//
// Written as "NAME.partial-PID" beside its destination and renamed onto it by finish(), so that
// under its own name the file is whole or not there. Safe from any thread.
#pragma once

#include <memory>
#include <string>

#include "cas/os/file.h"
#include "index/image.h"

namespace casdisk {

enum class IfExists { kFail, kReplace };

class RawFileSink : public ImageSink {
 public:
  // kExists when there is a file and `if_exists` is kFail; a rename that would hit one made since
  // does not look again.
  static Result<std::unique_ptr<RawFileSink>> create(FileSystem& file_system,
                                                     const std::string& path, uint64_t size_bytes,
                                                     IfExists if_exists);
  // Removes the partial file unless finish() has succeeded.
  ~RawFileSink() override;

  bool is_sequential() const override { return false; }
  Result<void> write(uint64_t offset, std::span<const std::byte> bytes) override;
  Result<void> zero(uint64_t, uint64_t) override { return {}; }  // a new file is a hole
  Result<void> finish() override;

 private:
  RawFileSink(std::unique_ptr<Directory> directory, std::string name);

  std::unique_ptr<Directory> directory_;
  std::string name_;
  std::string partial_name_;
  std::unique_ptr<File> file_;
  bool finished_ = false;
};

}  // namespace casdisk
