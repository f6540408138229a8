// What an image file is, by its first bytes. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cas/os/bytes.h"

namespace casdisk {

// As many as image_format() wants to see; fewer are fine when the file is shorter.
inline constexpr size_t kImageHeadBytes = 4096;

struct ImageFormat {
  std::string_view name;  // as qemu calls it; for compressed files the tool that unpacks them
  bool is_compressed = false;
};

// Nothing: no format we know, so the bytes are a raw image.
std::optional<ImageFormat> image_format(std::span<const std::byte> head);

// How long the VDI image of this head must be at least: qemu-img does not check that. Nothing when
// the head is not one, or is too short to tell.
std::optional<uint64_t> vdi_file_bytes(std::span<const std::byte> head);

// Whether --format may name it: "raw" and what qemu-nbd opens.
bool is_known_format(std::string_view name);
// "raw, qcow2, ..." for messages.
std::string known_formats();

// "nbd://...", "nbd+unix://...", "nbds://..." and the like.
bool is_nbd_uri(std::string_view text);

}  // namespace casdisk
