#include "nbd/auth/psk_refresh.h"

#include "nbd/auth/crypto.h"
#include "nbd/auth/psk_file.h"

namespace casdisk {

Result<void> PskRefresh::refresh() {
  if (path_.empty()) return {};
  std::lock_guard lock(mutex_);
  TRY_ASSIGN(std::string text, guard_.psk_file_text());
  const WipedAtEnd wiped(text);
  TRY(write_psk_file(path_, text, guard_.files_owner()));
  return {};
}

}  // namespace casdisk
