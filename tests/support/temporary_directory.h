// TemporaryDirectory: a new directory for one test, removed with all it holds.
#pragma once

#include <string>

namespace casdisk {

class TemporaryDirectory {
 public:
  enum class Medium {
    kMemory,  // a tmpfs where there is a roomy one: syncs cost nothing
    kDisk,    // $TMPDIR or /tmp
  };
  explicit TemporaryDirectory(Medium medium = Medium::kMemory);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  // The path of a name in it.
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace casdisk
