#include "index/losses.h"

#include <fmt/format.h>

#include "cas/os/replace_file.h"

namespace casdisk {
namespace {

constexpr std::string_view kFile = "losses";
constexpr size_t kMaxLines = 20'000;
constexpr std::string_view kAbout =
    "# What `casdisk repair` could not mend. Reading these ranges fails; `casdisk repair --from "
    "IMAGE`\n"
    "# or another import of the same data brings them back.\n";

}  // namespace

std::string losses_text(const VerifyReport& report) {
  std::string text(kAbout);
  size_t line_count = 0;
  const auto add = [&](const std::string& line) {
    if (line_count++ < kMaxLines) text += line + "\n";
  };
  for (const VolumeDamage& volume : report.volumes) {
    add(fmt::format("volume {} {} bytes in {} ranges", volume.name, volume.ranges.total_bytes(),
                    volume.ranges.count()));
    for (const ByteRange& range : volume.ranges.kept()) {
      add(fmt::format("range {} {} {}", volume.name, range.offset, range.length));
    }
  }
  for (const BadObject& object : report.objects) {
    if (object.use_count == 0) continue;
    if (object.location) {
      add(fmt::format("object {} pack {:016x} offset {}", to_hex(object.id), object.location->pack,
                      object.location->offset));
    } else {
      add(fmt::format("object {} missing", to_hex(object.id)));
    }
  }
  if (line_count > kMaxLines) text += fmt::format("more {} lines\n", line_count - kMaxLines);
  return text;
}

Result<void> note_losses(Store& store, const VerifyReport& report, bool is_of_one_volume) {
  TRY_ASSIGN(auto directory, store.file_system().open_directory(store.path()));
  if (report.volumes.empty() && report.objects.empty()) {
    if (is_of_one_volume) return {};
    auto removed = directory->remove(kFile);
    if (!removed.ok() && removed.error().fault == Fault::kNotFound) return {};
    TRY(std::move(removed));
    return directory->sync();
  }
  if (is_of_one_volume && directory->open(kFile, OpenMode::kRead).ok()) return {};
  return replace_file(*directory, kFile, as_bytes(losses_text(report)));
}

Result<std::optional<std::string>> noted_losses(Store& store) {
  TRY_ASSIGN(auto directory, store.file_system().open_directory(store.path()));
  auto file = directory->open(kFile, OpenMode::kRead);
  if (!file.ok() && file.error().fault == Fault::kNotFound) return std::optional<std::string>();
  if (!file.ok()) return std::move(file.error());
  TRY_ASSIGN(const uint64_t size_bytes, file.value()->size());
  Bytes bytes(std::min<uint64_t>(size_bytes, kAbout.size() + 256));
  TRY(file.value()->read(0, bytes));
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  text.erase(0, std::min(text.size(), kAbout.size()));
  return std::optional(text.substr(0, text.find('\n')));
}

}  // namespace casdisk
