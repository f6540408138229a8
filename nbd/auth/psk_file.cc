#include "nbd/auth/psk_file.h"

#include "nbd/auth/crypto.h"
#include "nbd/auth/private_file.h"

namespace casdisk {

Result<bool> write_psk_file(const std::string& path, const std::string& text,
                            const FileOwner& owner) {
  auto present = read_private_file(path, text.size(), owner);
  const bool is_same = present.ok() && present.value() == text;
  if (present.ok()) wipe(present.value());
  if (is_same) return false;
  TRY(write_private_file(path, text, IfThere::kReplace, owner));
  return true;
}

}  // namespace casdisk
