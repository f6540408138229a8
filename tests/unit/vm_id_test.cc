#include "nbd/report/vm_id.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

class VmIdTest : public testing::Test {
 protected:
  void set_firmware_id(const std::string& text) {
    std::filesystem::create_directories(root_ / "sys/class/dmi/id");
    std::ofstream(root_ / "sys/class/dmi/id/product_uuid") << text;
  }
  TemporaryDirectory root_;
};

constexpr const char* kId = "550E8400-E29B-41D4-A716-446655440000\n";

TEST_F(VmIdTest, TheFirstGenerationHasItsFirstFieldsTheOtherWayRound) {
  set_firmware_id(kId);
  auto id = read_vm_id(root_.path());
  ASSERT_OK(id);
  EXPECT_EQ(id.value(), "00840e55-9be2-d441-a716-446655440000");
  EXPECT_EQ(swap_uuid_fields("00112233-4455-6677-8899-aabbccddeeff"),
            "33221100-5544-7766-8899-aabbccddeeff");
}

TEST_F(VmIdTest, TheSecondGenerationHasEfi) {
  for (const char* sign : {"sys/firmware/efi", "dev/efi"}) {
    set_firmware_id(kId);
    std::filesystem::create_directories(root_ / sign);
    auto id = read_vm_id(root_.path());
    ASSERT_OK(id);
    EXPECT_EQ(id.value(), "550e8400-e29b-41d4-a716-446655440000");
    std::filesystem::remove_all(root_ / sign);
  }
}

TEST_F(VmIdTest, WhatIsMissingOrNoIdIsAnErrorWithARemedy) {
  auto id = read_vm_id(root_.path());
  EXPECT_FAULT(id, Fault::kNotFound);
  EXPECT_NE(id.error().context.find("--vm-id"), std::string::npos);
  for (const char* text :
       {"", "\n", "not-a-uuid", "550E8400-E29B-41D4-A716-44665544000",
        "550E8400-E29B-41D4-A716-4466554400000", "550E8400xE29B-41D4-A716-446655440000",
        "G50E8400-E29B-41D4-A716-446655440000"}) {
    set_firmware_id(text);
    id = read_vm_id(root_.path());
    EXPECT_FAULT(id, Fault::kDamaged) << text;
    EXPECT_NE(id.error().context.find("--vm-id"), std::string::npos);
  }
}

}  // namespace
}  // namespace casdisk
