#include "nbd/report/vm_id.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>

namespace casdisk {
namespace {

constexpr const char* kFirmwareId = "/sys/class/dmi/id/product_uuid";
constexpr const char* kSignsOfEfi[] = {"/sys/firmware/efi", "/dev/efi"};
constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
constexpr std::string_view kInstead = "name the machine with --vm-id ID";

bool has_efi(const std::string& root) {
  return std::ranges::any_of(
      kSignsOfEfi, [&](const char* path) { return ::access((root + path).c_str(), F_OK) == 0; });
}

}  // namespace

bool is_uuid(std::string_view text) {
  return text.size() == kForm.size() && std::ranges::equal(text, kForm, [](char c, char form) {
           return form == '-' ? c == '-' : std::isxdigit(uint8_t(c)) != 0;
         });
}

std::string swap_uuid_fields(std::string_view uuid) {
  CHECK(is_uuid(uuid));
  constexpr size_t kOrder[] = {6, 4, 2, 0, 11, 9, 16, 14};  // the digits of the first eight bytes
  std::string swapped;
  for (const size_t at : kOrder) {
    swapped += uuid.substr(at, 2);
    if (swapped.size() == 8 || swapped.size() == 13) swapped += '-';
  }
  return swapped + std::string(uuid.substr(18));
}

Result<std::string> read_vm_id(const std::string& root) {
  const std::string path = root + kFirmwareId;
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return os_error(errno, fmt::format("{} ({})", path, kInstead));
  char line[128] = {};
  const bool is_read = std::fgets(line, sizeof line, file) != nullptr;
  std::fclose(file);
  std::string id = is_read ? line : "";
  while (!id.empty() && std::isspace(uint8_t(id.back())) != 0) id.pop_back();
  std::ranges::transform(id, id.begin(), [](char c) { return char(std::tolower(uint8_t(c))); });
  if (!is_uuid(id)) {
    return Error{Fault::kDamaged, 0, fmt::format("{}: {:?} is no UUID; {}", path, id, kInstead)};
  }
  return has_efi(root) ? id : swap_uuid_fields(id);
}

}  // namespace casdisk
