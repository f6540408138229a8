#include "nbd/plugin_config.h"

#include "tests/support/result_assertions.h"

namespace casdisk {
namespace {

TEST(PluginConfig, TakesEachParameter) {
  PluginConfig config;
  EXPECT_FALSE(config.disk);
  EXPECT_OK(set_parameter(config, "store", "/srv/disks"));
  EXPECT_OK(set_parameter(config, "disk", "web@monday"));
  EXPECT_OK(set_parameter(config, "cache", "256M"));
  EXPECT_OK(set_parameter(config, "io", "posix"));
  EXPECT_OK(set_parameter(config, "overlay-limit", "1G"));
  EXPECT_OK(set_parameter(config, "seal-idle", "7"));
  EXPECT_EQ(config.store, "/srv/disks");
  ASSERT_TRUE(config.disk);
  EXPECT_EQ(config.disk->text(), "web@monday");
  EXPECT_EQ(config.cache_bytes, uint64_t(256) << 20);
  EXPECT_EQ(config.io, IoChoice::kPosix);
  EXPECT_EQ(config.sealing.overlay_limit_bytes, uint64_t(1) << 30);
  EXPECT_EQ(config.sealing.idle, std::chrono::seconds(7));
  EXPECT_OK(set_parameter(config, "overlay-limit", "0"));
}

struct Wrong {
  const char* key;
  const char* value;
  const char* words;
};

TEST(PluginConfig, SaysWhatIsWrongAndStaysAsItWas) {
  PluginConfig config;
  for (auto [key, value, words] : {
           Wrong{"disks", "web", "store=DIR, disk=NAME"},
           Wrong{"store", "", "empty"},
           Wrong{"disk", "", "must not be empty"},
           Wrong{"disk", "../web", "begin with a letter"},
           Wrong{"disk", "web@", "checkpoint name"},
           Wrong{"cache", "much", "not a size"},
           Wrong{"cache", "1K", "from 1M to 1T"},
           Wrong{"cache", "2T", "from 1M to 1T"},
           Wrong{"io", "fast", "auto, uring or posix"},
           Wrong{"overlay-limit", "1K", "at least 1M"},
           Wrong{"seal-idle", "soon", "whole seconds"},
           Wrong{"seal-idle", "-1", "whole seconds"},
       }) {
    auto outcome = set_parameter(config, key, value);
    ASSERT_FAULT(outcome, Fault::kInvalid) << key << "=" << value;
    EXPECT_NE(outcome.error().context.find(words), std::string::npos) << outcome.error().context;
  }
  PluginConfig untouched;
  EXPECT_EQ(config.store, untouched.store);
  EXPECT_FALSE(config.disk);
  EXPECT_EQ(config.cache_bytes, untouched.cache_bytes);
  EXPECT_EQ(config.io, untouched.io);
}

}  // namespace
}  // namespace casdisk
