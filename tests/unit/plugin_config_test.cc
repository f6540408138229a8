#include "nbd/plugin_config.h"

#include <filesystem>

#include "tests/support/result_assertions.h"
#include "tests/support/test_store.h"

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
  EXPECT_TRUE(config.write_behind);
  EXPECT_OK(set_parameter(config, "write-behind", "no"));
  EXPECT_OK(set_parameter(config, "access", "etcd://host"));
  EXPECT_OK(set_parameter(config, "psk-file", "keys.psk"));
  EXPECT_EQ(config.store, "/srv/disks");
  ASSERT_TRUE(config.disk);
  EXPECT_EQ(config.disk->text(), "web@monday");
  EXPECT_EQ(config.cache_bytes, uint64_t(256) << 20);
  EXPECT_EQ(config.io, IoChoice::kPosix);
  EXPECT_EQ(config.sealing.overlay_limit_bytes, uint64_t(1) << 30);
  EXPECT_EQ(config.sealing.idle, std::chrono::seconds(7));
  EXPECT_FALSE(config.write_behind);
  EXPECT_EQ(config.access_url, "etcd://host");
  EXPECT_EQ(config.psk_file, "keys.psk");
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
           Wrong{"write-behind", "", "yes or no"},
           Wrong{"write-behind", "maybe", "yes or no"},
           Wrong{"access", "", "give a URL"},
           Wrong{"psk-file", "", "--tls-psk"},
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

// nbdkit leaves the directory that it was started in.
TEST(PluginConfig, WhereTheRecordsAreDoesNotDependOnTheDirectory) {
  const std::string here = std::filesystem::current_path().string();
  PluginConfig config;
  config.access_url = "lmdb:records/../access";
  EXPECT_EQ(must(access_of(config, "/srv/disks")).url, "lmdb:" + here + "/access");
  EXPECT_EQ(must(access_of(config, "/srv/disks")).store_path, "/srv/disks");
  for (const char* url : {"lmdb:/srv/access", "rocksdb:/srv/access", "redis://host:6379/1"}) {
    config.access_url = url;
    EXPECT_EQ(must(access_of(config, "/srv/disks")).url, url);
  }
  config.access_url = "";
  EXPECT_EQ(must(access_of(config, "/srv/disks")).url, "");
}

}  // namespace
}  // namespace casdisk
