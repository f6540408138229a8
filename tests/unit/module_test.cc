#include "cas/os/module.h"

#include <gtest/gtest.h>

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

TEST(Module, OneThatCannotBeUsedSaysWhy) {
  for (const auto& [name, words] : {std::pair{"casdisk-nothing", "casdisk-nothing.so"},
                                    {"module-without-a-door", "has no"},
                                    {"module-of-another-version", "it is of casdisk 0.0.0"}}) {
    const auto loaded = load_module(name);
    ASSERT_FAULT(loaded, Fault::kUnsupported) << name;
    EXPECT_NE(loaded.error().context.find(words), std::string::npos) << loaded.error().context;
    EXPECT_NE(loaded.error().context.find("install casdisk anew"), std::string::npos);
  }
}

TEST(Module, IsLoadedAsOftenAsItIsAskedFor) {
  auto first = load_module("casdisk-rocksdb"), second = load_module("casdisk-rocksdb");
  ASSERT_OK(first);
  ASSERT_OK(second);
  EXPECT_EQ(first.value(), second.value());
}

}  // namespace
}  // namespace casdisk
