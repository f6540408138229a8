#include "nbd/image/image_format.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace casdisk {
namespace {

using namespace std::string_view_literals;

struct Magic {
  size_t offset;
  std::string_view bytes;
  ImageFormat format;
};

constexpr Magic kMagics[] = {
    {0, "QFI\xfb\0\0\0\1"sv, {"qcow"}},
    {0, "QFI\xfb"sv, {"qcow2"}},
    {0, "QED\0"sv, {"qed"}},
    {0, "KDMV"sv, {"vmdk"}},
    {0, "COWD"sv, {"vmdk"}},
    {0, "# Disk DescriptorFile"sv, {"vmdk"}},
    {0, "vhdxfile"sv, {"vhdx"}},
    {0, "conectix"sv, {"vpc"}},
    {0x40, "\x7f\x10\xda\xbe"sv, {"vdi"}},
    {0, "WithoutFreeSpace"sv, {"parallels"}},
    {0, "WithouFreSpacExt"sv, {"parallels"}},
    {0, "\x1f\x8b\x08"sv, {"gzip", true}},
    {0,
     "\xfd"
     "7zXZ\0"sv,
     {"xz", true}},
    {0, "\x28\xb5\x2f\xfd"sv, {"zstd", true}},
    {0, "BZh"sv, {"bzip2", true}},
    {0, "\x04\x22\x4d\x18"sv, {"lz4", true}},
};

constexpr std::string_view kFormats[] = {"raw",  "qcow2", "qcow", "qed",      "vmdk",
                                         "vhdx", "vpc",   "vdi",  "parallels"};

}  // namespace

std::optional<ImageFormat> image_format(std::span<const std::byte> head) {
  std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  for (const Magic& magic : kMagics) {
    if (text.size() < magic.offset) continue;
    if (text.substr(magic.offset).starts_with(magic.bytes)) return magic.format;
  }
  return std::nullopt;
}

// The header's words, little-endian: 0x158 where the blocks begin in the file, 0x178 bytes of a
// block, 0x184 how many are allocated.
std::optional<uint64_t> vdi_file_bytes(std::span<const std::byte> head) {
  auto format = image_format(head);
  if (!format || format->name != "vdi" || head.size() < 0x188) return std::nullopt;
  auto word = [&](size_t at) { return uint64_t(load_le<uint32_t>(head.data() + at)); };
  return word(0x158) + word(0x178) * word(0x184);
}

bool is_known_format(std::string_view name) {
  return std::find(std::begin(kFormats), std::end(kFormats), name) != std::end(kFormats);
}

std::string known_formats() { return fmt::format("{}", fmt::join(kFormats, ", ")); }

bool is_nbd_uri(std::string_view text) {
  for (std::string_view scheme : {"nbd", "nbds", "nbd+unix", "nbds+unix", "nbd+vsock"}) {
    if (text.starts_with(scheme) && text.substr(scheme.size()).starts_with("://")) return true;
  }
  return false;
}

}  // namespace casdisk
