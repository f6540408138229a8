#include "cas/os/replace_file.h"

#include <string>

namespace casdisk {

Result<void> replace_file(Directory& directory, std::string_view name,
                          std::span<const std::byte> bytes) {
  const std::string temporary = std::string(name) + ".new";
  TRY_ASSIGN(auto file, directory.open(temporary, OpenMode::kCreateAny));
  TRY(file->resize(0));
  TRY(file->write(0, bytes));
  TRY(file->sync());
  TRY(directory.rename(temporary, name));
  return directory.sync();
}

}  // namespace casdisk
