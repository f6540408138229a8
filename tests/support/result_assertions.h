// Assertions on Results that print what went wrong.
#pragma once

#include <gtest/gtest.h>

#include "cas/os/result.h"

namespace casdisk {

template <typename T>
testing::AssertionResult is_ok(const Result<T>& result) {
  if (result.ok()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << describe(result.error());
}

template <typename T>
testing::AssertionResult fails_with(const Result<T>& result, Fault fault) {
  if (result.ok()) return testing::AssertionFailure() << "it succeeded";
  if (result.error().fault == fault) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "fault " << int(result.error().fault) << ": " << describe(result.error());
}

}  // namespace casdisk

#define ASSERT_OK(expression) ASSERT_TRUE(::casdisk::is_ok(expression))
#define EXPECT_OK(expression) EXPECT_TRUE(::casdisk::is_ok(expression))
#define ASSERT_FAULT(expression, fault) ASSERT_TRUE(::casdisk::fails_with(expression, fault))
#define EXPECT_FAULT(expression, fault) EXPECT_TRUE(::casdisk::fails_with(expression, fault))
