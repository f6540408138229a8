#include "nbd/image/image_format.h"

#include <gtest/gtest.h>

namespace casdisk {
namespace {

using namespace std::string_view_literals;

std::string format_of(std::string_view head) {
  auto format = image_format(as_bytes(head));
  return format ? std::string(format->name) + (format->is_compressed ? " compressed" : "") : "raw";
}

TEST(ImageFormat, KnownByTheFirstBytes) {
  EXPECT_EQ(format_of("QFI\xfb\0\0\0\1"sv), "qcow");
  EXPECT_EQ(format_of("QFI\xfb\0\0\0\2"sv), "qcow2");
  EXPECT_EQ(format_of("QFI\xfb\0\0\0\3..."sv), "qcow2");
  EXPECT_EQ(format_of("KDMV\1\0\0\0"sv), "vmdk");
  EXPECT_EQ(format_of("# Disk DescriptorFile\nversion=1\n"sv), "vmdk");
  EXPECT_EQ(format_of("vhdxfile"sv), "vhdx");
  EXPECT_EQ(format_of("conectix"sv), "vpc");
  EXPECT_EQ(format_of(std::string(64, '<') + "\x7f\x10\xda\xbe"), "vdi");
  EXPECT_EQ(format_of("\x1f\x8b\x08"sv), "gzip compressed");
  EXPECT_EQ(format_of("\xfd"
                      "7zXZ\0"sv),
            "xz compressed");
  EXPECT_EQ(format_of("\x28\xb5\x2f\xfd"sv), "zstd compressed");
}

TEST(ImageFormat, EverythingElseIsRaw) {
  EXPECT_EQ(format_of(""sv), "raw");
  EXPECT_EQ(format_of("QFI"sv), "raw");
  EXPECT_EQ(format_of("XQFI\xfb\0\0\0\3"sv), "raw");
  EXPECT_EQ(format_of("LUKS\xba\xbe"sv), "raw");  // an encrypted disk's own bytes
  EXPECT_EQ(format_of(std::string(4096, '\0')), "raw");
}

TEST(ImageFormat, TheHeaderOfAVdiImageSaysHowLongItIs) {
  Bytes head(512);
  store_le<uint32_t>(&head[0x40], 0xbeda107f);
  store_le<uint32_t>(&head[0x158], 0x2000);
  store_le<uint32_t>(&head[0x178], 1 << 20);
  store_le<uint32_t>(&head[0x184], 5000);
  EXPECT_EQ(vdi_file_bytes(head), 0x2000 + (uint64_t(5000) << 20));
  EXPECT_EQ(vdi_file_bytes(std::span(head).first(0x187)), std::nullopt);
  head[0x40] = std::byte(0);
  EXPECT_EQ(vdi_file_bytes(head), std::nullopt);
}

TEST(ImageFormat, NamesThatMayBeAskedFor) {
  for (const char* name : {"raw", "qcow2", "vmdk", "vhdx", "vdi"})
    EXPECT_TRUE(is_known_format(name));
  for (const char* name : {"", "xz", "nbd", "json:{}"}) EXPECT_FALSE(is_known_format(name));
  EXPECT_EQ(known_formats().substr(0, 10), "raw, qcow2");
}

TEST(ImageFormat, NbdUris) {
  for (const char* uri : {"nbd://h", "nbds://h/e", "nbd+unix:///e?socket=s",
                          "nbds+unix://?socket=s", "nbd+vsock://1"}) {
    EXPECT_TRUE(is_nbd_uri(uri)) << uri;
  }
  for (const char* path : {"nbd", "nbd:h", "/nbd://h", "file://h", "http://h", ""}) {
    EXPECT_FALSE(is_nbd_uri(path)) << path;
  }
}

}  // namespace
}  // namespace casdisk
