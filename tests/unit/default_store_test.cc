#include "nbd/default_store.h"

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

std::string chosen(const StoreEnvironment& environment) {
  auto path = default_store_path(environment);
  return path.ok() ? path.value() : "error: " + describe(path.error());
}

TEST(DefaultStore, TheVariableWinsThenTheUser) {
  EXPECT_EQ(chosen({"/srv/disks", "/users/ann", false}), "/srv/disks");
  EXPECT_EQ(chosen({"/srv/disks", "/users/root", true}), "/srv/disks");
  EXPECT_EQ(chosen({"", "/users/ann", false}), "/users/ann/.local/share/casdisk");
  EXPECT_EQ(chosen({"", "/users/root", true}), "/var/lib/casdisk");
  EXPECT_EQ(chosen({"", "", true}), "/var/lib/casdisk");
}

TEST(DefaultStore, WithoutAHomeItMustBeNamed) {
  EXPECT_FAULT(default_store_path({"", "", false}), Fault::kInvalid);
}

}  // namespace
}  // namespace casdisk
